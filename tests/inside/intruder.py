#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Another module makes the kernel unable to disarm our probe, or makes ftrace disable itself, see
tests/stress/stress_tracers.c. The kernel warns. Our module must stay loaded with its probes, which
may still be hit, and the system must keep working. Prints KTAP.

usage: intruder.py disarm | attached | attaching
	ftrace disables itself after entry probes were registered, or during that
"""
import os
import re
import subprocess
import sys
import time

import kmod
from arch import handler_of
from kmod import TRACING, check, insmod, is_loaded, outcome, probes, refused, rmmod, until, write

TARGET = handler_of("getpriority")
HOW = sys.argv[1]
log, seen = kmod.Log(""), []


def logged(pattern):
    """Waits up to 10 seconds for a line in the log."""
    def there():
        seen.extend(log.lines())
        return any(re.search(pattern, line) for line in seen)

    until(there, f"{pattern!r}", 10)


def stays():
    """The command is blocked until the next boot."""
    check(blocked[0].poll() is None, "the command did not block")


def in_turn(module):
    insmod(f"tests/stress/{module}.ko")
    rmmod(module)


blocked = []


def block(*command):
    blocked.append(subprocess.Popen(command))


def it_says_so():
    # If there is another tracer, the module registers a kprobe.
    with kmod.function_tracer(TARGET):
        insmod("rust_kprobe.ko", probes(f"p:enter {TARGET}"))
        logged("rust_kprobe: enter: registered p .* by ftrace")
    insmod("tests/stress/stress_tracers.ko", f"kind=post symbol={TARGET}")
    rmmod("stress_tracers")
    # The kernel must not report the blocked task as hung.
    write("/proc/sys/kernel/hung_task_timeout_secs", 2)
    write("/proc/sys/kernel/hung_task_panic", 1)
    block("rmmod", "rust_kprobe")
    logged(rf"rust_kprobe: cannot disarm {TARGET}\+0x0/.* blocks until reboot")


def it_stays():
    check(is_loaded("rust_kprobe"), "the module is not loaded")
    stays()


def its_handler_runs():
    seen.extend(log.lines())
    seen.clear()
    os.getpriority(os.PRIO_PROCESS, 0)
    logged("rust_kprobe: enter: pre ")


def ftrace_disables_itself():
    insmod("tests/stress/stress_victim.ko")
    breaker = "tests/stress/stress_tracers.ko", "kind=break symbol=stress_victim:stress_victim"
    if HOW == "attached":
        insmod("samples/funccount.ko", "functions=vfs_*")
        insmod(*breaker)
        write(TRACING / "set_ftrace_filter", "stress_victim")
        # The kernel reports success.
        outcome(write, TRACING / "current_tracer", "function")
    else:
        insmod(*breaker)
        block("insmod", "samples/funccount.ko", "functions=vfs_*,stress_victim")
    logged("WARNING: kernel/trace/ftrace.c")


def it_says_so_of_ftrace():
    if HOW == "attached":
        refused("ENODEV", insmod, "rust_kprobe.ko", probes(f"p:enter {TARGET}"))
        logged(r"the kernel has disabled ftrace after an error \(ENODEV\)")
        block("rmmod", "funccount")
    logged("funccount: ftrace cannot unregister the entry probes; .* blocks until reboot")


def the_system_works():
    # Not all of /: other guests on this machine change files in its /tmp.
    subprocess.run(["find", "/usr", "-xdev", "-maxdepth", "3"], check=True,
                   stdout=subprocess.DEVNULL)
    in_turn("stress")


OF_DISARM = {
    "the failure is logged": it_says_so, "the module stays loaded": it_stays,
    "the handler still runs": its_handler_runs,
    "other modules are loaded and unloaded": lambda: in_turn("stress_victim"),
    "rmmod is not reported as hung": lambda: time.sleep(6),
}
# /proc/modules no longer lists the module, but its memory is not freed.
OF_FTRACE = {
    "ftrace disables itself": ftrace_disables_itself, "the failure is logged": it_says_so_of_ftrace,
    "the command blocks": stays, "the system keeps working": the_system_works,
}

if __name__ == "__main__":
    of_this = OF_DISARM if HOW == "disarm" else OF_FTRACE
    sys.exit(kmod.run(f"intruder: {HOW}", of_this.items()))
