# SPDX-License-Identifier: GPL-2.0
"""The module comes and goes, and leaves nothing behind."""
import subprocess
import threading
import time

import arch
from kmod import equal, log, match, match_lines, probes, unregistered
from loaded import INSIDE, MODULE, TARGET, loaded, nothing_left, registered, rmmod, trigger


def test_probed_function_works_as_before():
    before = arch.syscall("getpriority", 0, 0)
    with loaded(probes(f"p {TARGET}; r {TARGET}")):
        equal(arch.syscall("getpriority", 0, 0), before)
    equal(arch.syscall("getpriority", 0, 0), before)
    nothing_left()


def test_loads_again():
    for _ in range(2):
        with loaded(probes(f"p:enter {TARGET}")) as kmsg:
            trigger(3)
            rmmod()
            match(kmsg.lines()[-1], unregistered("enter", 3, 0, 0))
        nothing_left()


def test_100_rounds_of_load_and_unload():
    for n in range(100):
        with loaded(probes(f"p:enter {TARGET}; p:in {TARGET}+{INSIDE}; r:leave {TARGET}")) as kmsg:
            trigger()
            rmmod()
            match_lines(
                kmsg.lines()[-3:],
                [unregistered(name, 1, 0, 0) for name in ("enter", "in", "leave")],
            )
    nothing_left()


def test_unload_while_the_function_is_being_called():
    stop = threading.Event()

    def fire():
        while not stop.is_set():
            arch.syscall("getpriority", 0, 0)

    threads = [threading.Thread(target=fire) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            with loaded(probes(f"p {TARGET}; p:in {TARGET}+{INSIDE}; r {TARGET}")):
                time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    nothing_left()


def test_a_shell_loads_it():
    """As README.md has it, through insmod and rmmod."""
    with log() as kmsg:
        subprocess.run(["insmod", MODULE, f'probes="p:enter {TARGET}; r:leave {TARGET}"'], check=True)
        trigger(2)
        subprocess.run(["rmmod", "rust_kprobe"], check=True)
        lines = kmsg.lines()
        match_lines(lines[:2], [registered("enter", "p", arch.entry(TARGET)), registered("leave", "r", arch.entry(TARGET))])
        match_lines(lines[-2:], [unregistered("enter", 2, 0, 0), unregistered("leave", 2, 0, 0)])
    nothing_left()


def test_modinfo_describes_the_parameter():
    out = subprocess.run(["modinfo", "-p", MODULE], check=True, capture_output=True, text=True)
    match(out.stdout.strip(), r"probes:p\[:NAME\] .* \(string\)")
