# SPDX-License-Identifier: GPL-2.0
"""Runs a guest, a kernel in QEMU booted by virtme-ng or bare.py, and gives a verdict.

A run is good if the guest's command ended with status 0, its end marker came exactly
once, and the kernel's log has no sign of a fault. `Outcome.problems` says what is
wrong otherwise.
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

# scripts/setup puts virtme-ng there.
os.environ["PATH"] = f"{CACHE}/bin:{os.environ['PATH']}"

# How long a guest may take to boot under emulation, in seconds.
BOOT_LIMIT = 120
# How long KVM may take to boot Linux before it counts as broken.
KVM_LIMIT = 20

# How much slower the debug kernel is, and the memory that it needs.
DEBUG_FACTOR = 5
DEBUG_MEMORY = "2G"

# What the kernel logs when something is wrong.
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
    """The outcome of a run in a guest."""

    status: int | None = None
    output: str = ""
    console: str = ""
    problems: list = field(default_factory=list)

    @property
    def ok(self):
        return not self.problems

    def report(self, file=sys.stderr, lines=25):
        """Prints the problems, the first fault in the kernel's log, and the end of the
        output and of the log."""
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
    """The lines of a kernel log that report a fault."""
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
    """Whether this is the kernel of KERNEL=debug, or a similar one."""
    return has(kdir, "KASAN")


def default_memory(kdir):
    return DEBUG_MEMORY if is_debug(kdir) else "1G"


def is_stock(kdir):
    """Whether this kernel was built by Debian."""
    boots = bare.kernel(kdir)
    return boots is not None and boots.modules is not None


def arch(kdir):
    """The architecture of a KDIR's kernel, as Debian names it."""
    return "arm64" if has(kdir, "ARM64") else "amd64"


@contextmanager
def machine(kdir, accel, cpus, memory, command=None, icount=False, threads="single"):
    """The command line that boots the kernel and runs the words of `command`, or a
    shell. It is valid in the `with` block."""
    append = []
    if has(kdir, "DEBUG_KMEMLEAK"):
        # The per-CPU sheaves of SLUB keep addresses of allocated objects, which
        # kmemleak takes for references, so it finds no leaks. slab_debug=F disables
        # sheaves. By itself, it would also disable hashing of %p.
        append += ["slab_debug=F", "hash_pointers=always"]
    boots = bare.kernel(kdir)
    if boots:
        with bare.machine(boots, accel, cpus, memory, command, icount, threads, append) as args:
            yield args
    else:
        yield _vng(kdir, accel, cpus, memory, command, icount, threads, append)


def _vng(kdir, accel, cpus, memory, command, icount, threads, append):
    """The command line of virtme-ng, which is installed if necessary."""
    if not shutil.which("vng"):
        subprocess.run([ROOT / "scripts/setup"], check=True)
    args = ["vng", "--run", str(kernel_image(kdir))]
    args += ["--cpus", str(cpus), "--memory", memory, "--user", "root", "--force-9p"]
    # 9p of Linux 7.2 refuses an empty source. Without entropy %p is not hashed.
    for word in ("root=/dev/root", *append):
        args += ["-a", word]
    args += ["--qemu-opts=-device virtio-rng-pci"]
    if accel == "tcg":
        # One thread for all CPUs: with a thread for each, QEMU 7.2 executes stale
        # code that another CPU has just patched, so a kernel that arms a probe
        # under fire crashes, with or without this project.
        args += ["--disable-kvm", f"--qemu-opts=-accel tcg,thread={threads}"]
        if icount:
            # The guest's clock counts an instruction as a nanosecond.
            args += ["--qemu-opts=-icount shift=0,sleep=off"]
    if command is not None:
        # Verbose puts the kernel's console on stderr.
        args += ["--verbose", "--", shlex.join(command)]
    return args


class _Reader(threading.Thread):
    """Collects the output of a pipe and passes it on line by line."""

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

    It may take `limit` seconds, and the boot `boot_limit`; the debug kernel gets more
    of both. `echo` is called with each line of output. With `icount`, which needs
    `accel` tcg and one CPU, the guest's nanoseconds are instructions. With
    `threads="multi"`, emulated CPUs run concurrently, which works only if no code is
    patched under fire. Unless `leaks` is false, kmemleak is queried at the end if the
    kernel has it.
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
            # QEMU may be a child of vng, so kill the whole session.
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
        # virtme-ng exits with the command's status, QEMU with its own.
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
    """Returns 'kvm' or 'tcg'. /dev/kvm is not enough: KVM has to boot the kernel once
    since this machine was booted."""
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
