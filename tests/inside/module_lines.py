# SPDX-License-Identifier: GPL-2.0
"""The log lines of hits, as rust_kprobe.rs documents them."""
import json
import os
import re
import time
from pathlib import Path

import arch
from arch import LIBC
from kmod import check, ends, equal, match, match_lines, outcome, unregistered
from module_loaded import (BURST, NAP, TARGET, hit, mine, probing, registered, returned, rmmod,
                           trigger)

PR_SET_NAME = 15
HASH = r"(0{8}[0-9a-f]{8}|\(____ptrval____\))"


def test_without_a_parameter_kernel_clone_is_probed():
    me = os.getpid()
    with probing(None) as kmsg:
        # Other tasks may have forked already.
        match_lines([line for line in kmsg.lines() if ": registered " in line],
                    [registered("clone", "p", arch.entry("kernel_clone"), arch.ENTRY),
                     registered("cloned", "r", arch.entry("kernel_clone"), arch.ENTRY)])
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        comm = re.escape(open("/proc/self/comm").read().strip())
        match_lines(mine(kmsg), [hit("clone", "pre", me, comm), hit("clone", "post", me, comm),
                                 returned("cloned", child, me, comm)])
        rmmod()
        # Other tasks may have forked, but not so often in this time.
        for found in match_lines(ends(kmsg), [unregistered("clone", missed=0, suppressed=0),
                                              unregistered("cloned", missed=0, suppressed=0)]):
            check(int(found[1]) >= 1, found[0])


def test_hits_beyond_the_log_rate_limit_are_counted():
    with probing(f"p:enter {TARGET}; r:leave {TARGET}") as kmsg:
        kmsg.lines()
        trigger(250)
        said = kmsg.lines()
        rmmod()
        names = "enter", "leave"
        found = match_lines(kmsg.lines(), [unregistered(name, 250, 0) for name in names])
        for name, end in zip(names, found):
            lines = [line for line in said if re.match(rf"{name}: (pre|return) ", line)]
            suppressed = int(end[1])
            equal(len(lines) + suppressed, 250)
            check(len(lines) >= BURST and suppressed, f"{len(lines)} lines of 250")


def test_debugfs_shows_the_state_and_the_hits_of_a_probe():
    files = Path("/sys/kernel/debug/rust_kprobe")
    with probing(f"p:enter {TARGET}; r:leave {TARGET}"):
        trigger(3)
        mechanism = arch.ENTRY
        match((files / "leave").read_text(),
              rf"{TARGET}\+\w+ by {mechanism}, enabled, 0 missed\n3 hits\n")
        state, hits = map(json.loads, (files / "leave.json").read_text().splitlines())
        equal((state["mechanism"], state["enabled"], state["gone"]), (mechanism, True, False))
        equal(hits, {"hits": 3})
        equal(sorted(file.name for file in files.iterdir()),
              ["enter", "enter.json", "leave", "leave.json"])
        rmmod()
        check(not files.exists(), "the debugfs folder still exists")


def test_the_number_of_suppressed_lines_is_logged():
    with probing(f"p:enter {TARGET}") as kmsg:
        trigger(BURST + 20)
        kmsg.lines()
        time.sleep(6)
        trigger()
        match_lines(kmsg.lines(), ["enter: 20 lines suppressed", hit("enter", "pre")])


def test_a_return_line_has_the_value_and_the_duration():
    # usleep() is relative. time.sleep() is absolute, so the time before the call would count.
    line = lines_of(f"r:nap {NAP}", lambda: LIBC.usleep(100_000))[0]
    match(line, returned("nap", 0, os.getpid()))
    ns = int(line.rsplit("=", 1)[1])
    check(100_000_000 <= ns < 5_000_000_000, f"0.1 s took {ns} ns")


def lines_of(definition, action):
    """The lines that the module logs about this task during the action."""
    with probing(definition) as kmsg:
        kmsg.lines()
        action()
        return mine(kmsg)


def test_a_negative_return_value_is_logged_as_an_errno():
    match_lines(lines_of(f"r:leave {TARGET}", lambda: arch.syscall("getpriority", 99, 0)),
                [r"leave: return .* ret=-22 \(0xffffffffffffffea, EINVAL\) ns=\d+"])


def opens():
    os.close(os.open("/", os.O_RDONLY))
    equal(outcome(os.open, "/no such file", os.O_RDONLY), "ENOENT")


def test_an_errno_returned_as_int_is_recognized():
    """Except on riscv64, do_sys_openat2() leaves zero in the upper half of the register."""
    match(lines_of("r:opened do_sys_openat2", opens)[-1],
          rf"opened: return .* ret=-2 \({arch.int_result(-2):#x}, ENOENT\) ns=\d+")


def test_return_values_are_logged_by_their_type():
    error, word = r"-2 \(ENOENT\)", arch.int_result(-2)
    whole, pointer = (error, f"{word:x}") if word >= 2**63 else (word, HASH)
    results = {"s32": error, "s8": error, "s64": whole, "u8": "254", "u16": "65534", "u64": word,
               "x32": "0xfffffffe", "x16": "0xfffe", "bool": "true", "ptr": pointer,
               "string": r'"\(fault\)"'}
    definitions = ";".join(f"r:{of} do_sys_openat2 $retval:{of}" for of in results)
    lines = lines_of(definitions, opens)
    for of, result in results.items():
        line = [line for line in lines if line.startswith(f"{of}: ")][-1]
        match(line, rf"{of}: return .* ret={result} ns=\d+")
    match_lines(lines_of("r:path d_path $retval:string", lambda: os.readlink("/proc/self/cwd")),
                [rf'path: return .* ret="{re.escape(os.getcwd())}" ns=\d+'])


def test_return_values_that_may_reveal_an_address_are_hidden():
    """Values up to the largest PID are shown: also halves of addresses, and unknown errnos."""
    shown = [0, 1, 2**22 - 1]
    hidden = [2**22, 0x12345601, 2**31, 2**32 - 4095, 2**32 - 255, 2**32, 0x888012345601]
    fd = os.memfd_create("rust_kprobe")
    lines = lines_of("r:sought " + arch.handler_of("lseek"),
                     lambda: [os.lseek(fd, value, os.SEEK_SET) for value in [*shown, *hidden]])
    os.close(fd)
    match_lines(lines, [returned("sought", value) for value in shown]
                + len(hidden) * [rf"sought: return .* ret=hidden \({HASH}\) ns=\d+"])


def test_logged_addresses_are_hashed():
    with probing("r:opened do_file_open; p:enter kernel_clone") as kmsg:
        opens()
        lines = kmsg.lines()
        match_lines([line for line in lines if f" pid={os.getpid()} " in line],
                    [rf"opened: return .* ret=hidden \({HASH}\) ns=\d+",
                     r"opened: return .* ret=-2 \(0xfffffffffffffffe, ENOENT\) ns=\d+"])
        shown = [n for line in lines for n in re.findall(r"[0-9a-f]{16}", line)]
        # Error pointers are not hashed.
        equal([n for n in shown if n.startswith("ff") and int(n, 16) < 2**64 - 4095], [])
        check(shown, f"no address in {lines}")


def test_a_process_name_cannot_forge_log_lines():
    with probing(f"p:enter {TARGET}") as kmsg:
        kmsg.lines()
        before = open("/proc/self/comm", "rb").read().strip()
        for name in (b"a\nrust\x1b[31m", b'x" ret=0 (0x0)', b"x\\"):
            LIBC.prctl(PR_SET_NAME, name)
            try:
                trigger()
            finally:
                LIBC.prctl(PR_SET_NAME, before)
        match_lines(kmsg.lines(), [hit("enter", "pre", os.getpid(), name) for name in
                                   (r"a\\nrust\\x1b\[31m", r'x\\" ret=0 \(0x0\)', r"x\\\\")])
