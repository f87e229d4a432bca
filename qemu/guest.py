# SPDX-License-Identifier: GPL-2.0
"""A guest: a kernel in QEMU, through virtme-ng or booted by bare.py, and its verdict.

The verdict is never guessed. A run is good when the guest's command ended with
status 0, when its end marker came exactly once, and when the kernel's log has
no sign of a fault. Whatever is missing stands in `Outcome.problems`.
"""
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bare

ROOT, CACHE = bare.ROOT, bare.CACHE

# virtme-ng is one of the tools that scripts/setup puts there.
os.environ["PATH"] = f"{CACHE}/bin:{os.environ['PATH']}"

# How long a guest may take to boot under emulation, in seconds.
BOOT_LIMIT = 120
# How long KVM gets to boot Linux before it is taken for broken.
KVM_LIMIT = 20

# How much slower the debug kernel is than the other, and the memory it takes.
DEBUG_FACTOR = 5
DEBUG_MEMORY = "2G"

# What a kernel says when something is wrong, whatever it was asked to do.
FAULTS = re.compile(
    r"BUG:|WARNING:|\bOops\b|Kernel panic|general protection fault|"
    r"kernel BUG at|INFO: possible recursive locking|possible circular locking|"
    r"suspicious RCU usage|inconsistent lock state|"
    r"rcu.*(detected stalls|self-detected stall)|soft lockup|hard LOCKUP|"
    r"task .* blocked for more than|KASAN|UBSAN|KCSAN|"
    r"kmemleak: \d+ new|scheduling while atomic|sleeping function called|"
    r"Unable to handle kernel|unable to handle page fault|"
    r"ODEBUG:|list_(add|del) corruption|[Bb]ad page state"
)


@dataclass
class Outcome:
    """What came of a run in a guest."""

    status: int | None = None
    output: str = ""
    console: str = ""
    problems: list = field(default_factory=list)

    @property
    def ok(self):
        return not self.problems

    def report(self, file=sys.stderr, lines=25):
        """Says what is wrong, with the end of what the guest said, and what the
        kernel said first of a fault."""
        for problem in self.problems:
            print(f"error: {problem}", file=file)
        log = self.console.splitlines()
        first = next((n for n, line in enumerate(log) if FAULTS.search(line)), None)
        if first is not None:
            print("--- the first fault in the guest's kernel log:", file=file)
            print("\n".join(log[max(0, first - 3) : first + 60]), file=file)
        for name, text in (("output", self.output), ("kernel log", self.console)):
            tail = text.splitlines()[-lines:]
            if tail:
                print(f"--- the last {len(tail)} lines of the guest's {name}:", file=file)
                print("\n".join(tail), file=file)


def say(*words):
    print("==>", *words, file=sys.stderr, flush=True)


def faults(console):
    """The lines of a kernel log that tell of a fault."""
    return [line.strip() for line in console.splitlines() if FAULTS.search(line)]


def kernel_image(kdir):
    boots = bare.kernel(kdir)
    if boots:
        return boots.image
    image = Path(kdir) / "arch/x86/boot/bzImage"
    if not image.exists():
        sys.exit(
            f"error: {image}: no such file\n"
            f"       'make run' and 'make test' boot a kernel: KDIR must be a built tree"
        )
    return image


def has(kdir, option):
    """Whether the kernel is configured with CONFIG_`option`."""
    config = Path(kdir) / "include/config/auto.conf"
    return config.exists() and f"CONFIG_{option}=y\n" in config.read_text()


def is_debug(kdir):
    """Whether that is the kernel of KERNEL=debug, or one of its kind."""
    return has(kdir, "KASAN")


def default_memory(kdir):
    return DEBUG_MEMORY if is_debug(kdir) else "1G"


def is_stock(kdir):
    """Whether that is a kernel that Debian built."""
    boots = bare.kernel(kdir)
    return boots is not None and boots.modules is not None


def arch(kdir):
    """The architecture of a KDIR's kernel, as Debian names it."""
    return "arm64" if has(kdir, "ARM64") else "amd64"


@contextmanager
def machine(kdir, accel, cpus, memory, command=None, icount=False, threads="single"):
    """The command line that boots the kernel and runs the words of `command`, or
    a shell. It is good in the `with` block."""
    append = []
    if has(kdir, "DEBUG_KMEMLEAK"):
        # The per-CPU sheaves of SLUB keep the addresses of what they gave out,
        # which to kmemleak are references: it finds no leak. A cache that is
        # debugged, here for consistency, has no sheaves. By itself that would
        # stop %p from being hashed.
        append += ["slab_debug=F", "hash_pointers=always"]
    boots = bare.kernel(kdir)
    if boots:
        with bare.machine(boots, accel, cpus, memory, command, icount, threads, append) as args:
            yield args
    else:
        yield _vng(kdir, accel, cpus, memory, command, icount, threads, append)


def _vng(kdir, accel, cpus, memory, command, icount, threads, append):
    """The command line of virtme-ng, which is brought here where it is not."""
    if not shutil.which("vng"):
        subprocess.run([ROOT / "scripts/setup"], check=True)
    args = ["vng", "--run", str(kernel_image(kdir))]
    args += ["--cpus", str(cpus), "--memory", memory, "--user", "root", "--force-9p"]
    # 9p of Linux 7.2 refuses an empty source. Without entropy %p is not hashed.
    for word in ("root=/dev/root", *append):
        args += ["-a", word]
    args += ["--qemu-opts=-device virtio-rng-pci"]
    if accel == "tcg":
        # One thread for all CPUs: with a thread for each, QEMU 7.2 runs stale
        # code where another CPU has just patched it, and a kernel that arms a
        # probe under fire jumps to nowhere, with or without this project.
        args += ["--disable-kvm", f"--qemu-opts=-accel tcg,thread={threads}"]
        if icount:
            # The guest's clock counts instructions, one a nanosecond.
            args += ["--qemu-opts=-icount shift=0,sleep=off"]
    if command is not None:
        # Verbose puts the kernel's console on stderr.
        args += ["--verbose", "--", shlex.join(command)]
    return args


class _Reader(threading.Thread):
    """Collects what a pipe gives, and passes it on line by line."""

    def __init__(self, pipe, echo):
        super().__init__(daemon=True)
        self.pipe, self.echo, self.lines = pipe, echo, []
        self.start()

    def run(self):
        for line in self.pipe:
            line = line.decode("utf-8", "backslashreplace")
            self.lines.append(line)
            if self.echo:
                self.echo(line)

    def text(self):
        self.join(timeout=5)
        return "".join(list(self.lines))


def run(kdir, command, *, limit, accel="tcg", cpus=2, memory=None, echo=None,
        boot_limit=BOOT_LIMIT, icount=False, leaks=True, threads="single"):
    """Runs `command` (a list of words) in a guest, as root, in the folder ROOT.

    It may take `limit` seconds, and the boot `boot_limit`; the debug kernel gets
    more of both. `echo` is called with each line of output as it comes. With
    `icount`, and `accel` tcg, the guest's nanoseconds are instructions; it
    should have one CPU then. With `threads="multi"` emulated CPUs run at once,
    which is good for what patches no code under fire. A kernel with kmemleak is asked at the end, unless
    `leaks` is false.
    """
    memory = memory or default_memory(kdir)
    if is_debug(kdir):
        limit, boot_limit = limit * DEBUG_FACTOR, boot_limit * DEBUG_FACTOR
    nonce = secrets.token_hex(8)
    enter = ROOT / "qemu/guest/enter"
    ask = "leaks" if leaks and has(kdir, "DEBUG_KMEMLEAK") else "no-leaks"
    words = ["/bin/bash", str(enter), nonce, ask, *command]
    marker = f"guest-end-{nonce} "

    def echo_all_but_marker(line):
        if not line.startswith(marker):
            echo(line)

    outcome = Outcome()
    with machine(kdir, accel, cpus, memory, words, icount, threads) as args:
        process = subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        output = _Reader(process.stdout, echo and echo_all_but_marker)
        console = _Reader(process.stderr, None)
        try:
            process.wait(timeout=boot_limit + limit)
        except subprocess.TimeoutExpired:
            outcome.problems.append(f"the guest hung: killed after {boot_limit + limit} s")
        finally:
            # QEMU may be a child of vng's: the whole session has to go.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()

    outcome.console = console.text()
    lines, ends = [], []
    for line in output.text().splitlines(keepends=True):
        (ends if line.startswith(marker) else lines).append(line)
    outcome.output = "".join(lines)

    if len(ends) == 1:
        outcome.status = int(ends[0][len(marker):])
        if outcome.status != 0:
            outcome.problems.append(f"the guest's command failed with status {outcome.status}")
        # virtme-ng passes the command's status on, QEMU has one of its own.
        wanted = 0 if bare.kernel(kdir) else outcome.status
        if process.returncode != wanted and not outcome.problems:
            outcome.problems.append(
                f"{args[0]} ended with {process.returncode}, the command with {outcome.status}"
            )
    elif not outcome.problems or ends:
        outcome.problems.append(f"{len(ends)} end markers from the guest instead of one")
    for line in faults(outcome.console)[:5]:
        outcome.problems.append(f"the kernel complained: {line}")
    return outcome


def choose_accel(kdir, wanted):
    """'kvm' or 'tcg'. That /dev/kvm exists proves nothing: KVM has to boot the
    kernel once on this machine, in this boot of it."""
    if wanted in ("kvm", "tcg"):
        return wanted
    if arch(kdir) != bare.HOST:
        return "tcg"
    if wanted != "auto":
        sys.exit(f"error: ACCEL={wanted}: it is auto, kvm or tcg")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"

    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    image = kernel_image(kdir).stat()
    key = f"{boot_id} {kdir} {image.st_mtime_ns}"
    note = CACHE / "accel"
    if note.exists() and note.read_text().startswith(key + "\n"):
        verdict = note.read_text().split()[-1]
    else:
        trial = run(kdir, ["true"], limit=0, accel="kvm", boot_limit=KVM_LIMIT)
        verdict = "kvm" if trial.ok else "tcg"
        note.write_text(f"{key}\n{verdict}\n")
    if verdict == "tcg":
        say(f"/dev/kvm does not boot Linux within {KVM_LIMIT} s on this machine: emulating")
    return verdict
