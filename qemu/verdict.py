# SPDX-License-Identifier: GPL-2.0
"""Runs a command in a guest, and returns a verdict.

A run is good if the guest's command exits with 0, its end marker is printed exactly once, and the
kernel's log has no fault. `Outcome.problems` lists the other cases.
"""
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kernels import CACHE, HOST, ROOT, arch, has, is_debug
from guest import default_memory, guest

# The time limit for a boot under emulation, in seconds.
BOOT_LIMIT = 120
# The time limit for KVM's first boot, in seconds, before KVM counts as broken.
KVM_LIMIT = 20

# The interval between messages about a slow boot, in seconds.
PROGRESS_INTERVAL = 8

# The factor by which the debug kernel is slower.
DEBUG_FACTOR = 5

# What the kernel logs on a fault.
FAULTS = re.compile(
    r"BUG:|(?<!virtme-ng-init: )WARNING:|\bOops\b|Kernel panic|general protection fault|"
    r"kernel BUG at|INFO: possible recursive locking|possible circular locking|"
    r"suspicious RCU usage|inconsistent lock state|"
    r"rcu.*(detected stalls|self-detected stall)|soft lockup|hard LOCKUP|"
    r"task .* blocked for more than|KASAN|UBSAN|KCSAN|"
    r"kmemleak: \d+ new|scheduling while atomic|sleeping function called|"
    r"Unable to handle kernel|unable to handle page fault|"
    r"ODEBUG:|list_(add|del) corruption|[Bb]ad page state|"
    # Checks that disable themselves: lockdep, kmemleak. DEBUG_OBJECTS logs "ODEBUG:".
    r"trying to register non-static key|turning off the locking correctness validator|"
    r"Disabling lock debugging|INFO: lockdep is turned off|"
    r"kmemleak: (Cannot allocate a kmemleak_object|Cannot insert|Memory pool empty|"
    r"Kernel memory leak detector disabled)"
)


@dataclass
class Outcome:
    status: int | None = None
    output: str = ""
    console: str = ""
    problems: list = field(default_factory=list)

    @property
    def ok(self):
        return not self.problems

    def report(self, file=sys.stderr, lines=25):
        """Prints the problems, the first fault in the kernel's log, and the ends of the output
        and of the log."""
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
    return [line.strip() for line in console.splitlines() if FAULTS.search(line)]


class _Reader(threading.Thread):
    """Reads a pipe and passes its lines to `echo`, then None."""

    def __init__(self, pipe, echo=lambda line: None):
        super().__init__(daemon=True)
        self.pipe, self.echo, self.lines = pipe, echo, []
        self.start()

    def run(self):
        for line in self.pipe:
            line = line.decode("utf-8", "backslashreplace")
            self.lines.append(line)
            self.echo(line)
        self.echo(None)

    def text(self):
        self.join(timeout=5)
        return "".join(list(self.lines))


# The running QEMUs, and whether others may start.
_guests = set()
_ended = threading.Event()


def kill_guests():
    """Kills all guests and starts no other."""
    _ended.set()
    for process in list(_guests):
        _kill(process)


def _kill(process):
    """Interrupts a guest, so that virtme-ng removes its files, then kills it."""
    for how in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(timeout=3)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def _wait(event, limit, progress):
    """Waits for an event, and logs the progress every few seconds if `progress`."""
    began = time.monotonic()
    while not event.wait(min(PROGRESS_INTERVAL, max(0, began + limit - time.monotonic()))):
        took = time.monotonic() - began
        if took >= limit:
            return False
        if progress:
            say(f"booting, {took:.0f} s so far")
    return True


def run(kdir, command, *, limit, accel="tcg", cpus=2, memory=None, echo=None,
        boot_limit=BOOT_LIMIT, icount=False, leaks="asked", threads="single", progress=False,
        folder=ROOT):
    """Runs `command` (a list of words) in a guest, as root, in `folder`.

    The command may run for `limit` seconds after a boot of `boot_limit`; the debug kernel gets more
    of both. `echo` is called with each line of output. With `icount` and emulation, the guest's
    nanoseconds are instructions; it should have one CPU. With `threads="multi"`, emulated CPUs run
    concurrently; use it only if nothing patches code that they run. A kernel with kmemleak reports
    `leaks` at the end, unless the command queries kmemleak itself ("watched") or leaks do not
    matter ("ignored"), which halves the time. With `progress`, the progress of a slow boot is
    printed.
    """
    memory = memory or default_memory(kdir)
    if is_debug(kdir):
        limit, boot_limit = limit * DEBUG_FACTOR, boot_limit * DEBUG_FACTOR
    nonce = secrets.token_hex(8)
    enter = ROOT / "qemu/inside/judged"
    ask = "leaks" if leaks == "asked" and has(kdir, "DEBUG_KMEMLEAK") else "no-leaks"
    words = ["/bin/bash", str(enter), nonce, ask, *command]
    begin, marker = f"guest-begin-{nonce}\n", f"guest-end-{nonce} "
    began = threading.Event()

    def see(line):
        if line in (begin, None):
            began.set()
        elif echo and not line.startswith(marker):
            echo(line)

    outcome = Outcome()
    with guest(kdir, accel, cpus, memory, words, icount, threads, folder,
               leaks != "ignored") as (args, env):
        if _ended.is_set():
            raise InterruptedError
        process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=ROOT, env=env, start_new_session=True)
        _guests.add(process)
        output = _Reader(process.stdout, see)
        console = _Reader(process.stderr)
        try:
            if _wait(began, boot_limit, progress):
                process.wait(timeout=limit)
            else:
                outcome.problems.append(f"the guest did not boot: killed after {boot_limit} s")
        except subprocess.TimeoutExpired:
            outcome.problems.append(f"the guest hung: killed after {limit} s")
        finally:
            _kill(process)
            process.wait()
            _guests.discard(process)

    outcome.console = console.text()
    lines, ends = [], []
    for line in output.text().splitlines(keepends=True):
        if line != begin:
            (ends if line.startswith(marker) else lines).append(line)
    outcome.output = "".join(lines)

    if len(ends) == 1:
        outcome.status = int(ends[0][len(marker):])
        if outcome.status != 0:
            outcome.problems.append(f"the guest's command failed with status {outcome.status}")
        if process.returncode != outcome.status and not outcome.problems:
            outcome.problems.append(f"{args[0]} exited with status {process.returncode}")
    elif not outcome.problems or ends:
        outcome.problems.append(f"{len(ends)} end markers from the guest instead of one")
    for line in faults(outcome.console)[:5]:
        outcome.problems.append(f"kernel fault: {line}")
    return outcome


def choose_accel(kdir, wanted):
    """'kvm' or 'tcg'. An existing /dev/kvm proves nothing, so KVM has to boot a kernel once
    after each boot of this machine."""
    if wanted == "tcg" or arch(kdir) != HOST and wanted == "auto":
        return "tcg"
    if arch(kdir) != HOST:
        sys.exit(f"error: ACCEL=kvm: no KVM for {arch(kdir)} on this machine; use ACCEL=tcg")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        if wanted == "kvm":
            sys.exit("error: ACCEL=kvm: no access to /dev/kvm; use ACCEL=tcg")
        return "tcg"

    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = CACHE / "accel"
    if note.exists() and note.read_text().startswith(boot_id + "\n"):
        verdict = note.read_text().split()[-1]
    else:
        say(f"trying KVM, for {KVM_LIMIT} s at most")
        trial = run(kdir, ["true"], limit=KVM_LIMIT, accel="kvm", boot_limit=KVM_LIMIT,
                    leaks="ignored", progress=True)
        verdict = "kvm" if trial.ok else "tcg"
        CACHE.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{boot_id}\n{verdict}\n")
        if verdict == "tcg" and wanted != "kvm":
            say(f"/dev/kvm does not boot Linux within {KVM_LIMIT} s on this machine: using "
                "emulation from now on")
    if verdict == "tcg" and wanted == "kvm":
        sys.exit(f"error: ACCEL=kvm: KVM does not boot Linux within {KVM_LIMIT} s on this "
                 "machine; use ACCEL=tcg")
    return verdict
