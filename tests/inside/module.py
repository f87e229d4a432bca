#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests rust_kprobe.ko in the guest: loads it, triggers what it probes, and
compares the log with what README.md promises. Prints KTAP.

usage: module.py MODULE.ko
"""
import errno
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import arch
import kmod
from arch import ASSEMBLY, LIBC
from kmod import equal, kprobe_list, log, match, match_lines, probes, unregistered

# A system call that nobody in the guest makes but these tests.
TARGET = arch.handler_of("getpriority")
NAP = arch.handler_of("clock_nanosleep")
BURST = 100  # rust_kprobe/report.rs

PR_SET_NAME = 15


# ---------------------------------------------------------------------------
# The module, the log, the trigger.


def insmod(params=b""):
    kmod.insmod(MODULE, params)


def rmmod():
    kmod.rmmod("rust_kprobe")


def is_loaded():
    return kmod.is_loaded("rust_kprobe")


@contextmanager
def loaded(params=b""):
    """The module, loaded, with its log; unloaded whatever happens."""
    with log() as kmsg:
        insmod(params)
        try:
            yield kmsg
        finally:
            if is_loaded():
                rmmod()


def trigger(times=1):
    """Calls TARGET that often; it returns 20 less the nice value."""
    for _ in range(times):
        value = arch.syscall("getpriority", 0, 0)
        equal(value, 20)


def nothing_left():
    equal(is_loaded(), False)
    equal(kprobe_list(), [])


ADDRESS = r"([0-9a-f]{16}|\(____ptrval____\))"
HOW = "(ftrace|jump|breakpoint)"


def registered(name, kind, place, by=HOW):
    return rf"{name}: registered {kind} at {re.escape(place)} {ADDRESS} by {by}"


def hit(name, when, pid=r"\d+", comm=".*"):
    return rf"{name}: {when} pid={pid} cpu=\d+ comm={comm}"


def returned(name, value, pid=r"\d+", comm=".*"):
    return rf"{name}: return pid={pid} cpu=\d+ comm={comm} ret={value} \({value:#x}\) ns=\d+"


# ---------------------------------------------------------------------------
# The tests, in order: each function whose name begins with test_.


def test_default_probes_kernel_clone_before_after_and_at_return():
    me = os.getpid()
    with loaded() as kmsg:
        # Somebody may have forked already.
        match_lines(
            [line for line in kmsg.lines() if ": registered " in line],
            [
                registered("clone", "p", arch.entry("kernel_clone"), arch.ENTRY),
                registered("cloned", "r", arch.entry("kernel_clone"), arch.ENTRY),
            ],
        )
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        mine = [line for line in kmsg.lines() if f" pid={me} " in line]
        comm = re.escape(open("/proc/self/comm").read().strip())
        match_lines(
            mine,
            [
                hit("clone", "pre", me, comm),
                hit("clone", "post", me, comm),
                returned("cloned", child, me, comm),
            ],
        )
        rmmod()
        # Others may have forked too; nobody forks twice in so short a time.
        ends = [line for line in kmsg.lines() if "unregistered" in line]
        match_lines(ends, [unregistered("clone"), unregistered("cloned")])
        for line in ends:
            hits, missed, suppressed = map(int, re.findall(r"(\d+) (?:hits|missed|lines)", line))
            if hits < 1 or missed or suppressed:
                raise AssertionError(line)
    nothing_left()


def test_250_triggers_give_250_hits_and_the_log_is_limited():
    definitions = f"p:enter {TARGET}; r:leave {TARGET}"
    with loaded(probes(definitions)) as kmsg:
        kmsg.lines()
        trigger(250)
        said = kmsg.lines()
        rmmod()
        ends = kmsg.lines()
        found = match_lines(ends, [unregistered("enter"), unregistered("leave")])
        for name, end in zip(("enter", "leave"), found):
            hits, missed, suppressed = map(int, end.groups())
            equal((hits, missed), (250, 0))
            lines = [l for l in said if re.match(rf"{name}: (pre|return) ", l)]
            equal(len(lines) + suppressed, 250)
            if len(lines) < BURST or suppressed == 0:
                raise AssertionError(f"{len(lines)} lines, {suppressed} suppressed")
    nothing_left()


def test_what_was_suppressed_is_told_when_lines_pass_again():
    with loaded(probes(f"p:enter {TARGET}")) as kmsg:
        trigger(BURST + 20)
        kmsg.lines()
        time.sleep(6)
        trigger()
        match_lines(kmsg.lines(), ["enter: 20 lines suppressed", hit("enter", "pre")])


def test_return_tells_value_and_duration():
    with loaded(probes(f"r:nap {NAP}")) as kmsg:
        kmsg.lines()
        # Relative, unlike time.sleep(): that loses what passes before the call.
        LIBC.usleep(100_000)
        line = [l for l in kmsg.lines() if f" pid={os.getpid()} " in l][0]
        match(line, returned("nap", 0, os.getpid()))
        ns = int(line.rsplit("=", 1)[1])
        if not 100_000_000 <= ns < 5_000_000_000:
            raise AssertionError(f"0.1 s took {ns} ns")


def test_negative_results_are_signed():
    with loaded(probes(f"r:leave {TARGET}")) as kmsg:
        kmsg.lines()
        arch.syscall("getpriority", 99, 0)
        line = kmsg.lines()[0]
        match(line, r"leave: return .* ret=-22 \(0xffffffffffffffea, EINVAL\) ns=\d+")


def test_the_errno_of_a_function_that_returns_int():
    """It leaves the upper half of the register zero, as do_sys_openat2() does."""
    with loaded(probes("r:opened do_sys_openat2")) as kmsg:
        try:
            os.open("/no such file", os.O_RDONLY)
        except FileNotFoundError:
            pass
        line = [l for l in kmsg.lines() if f" pid={os.getpid()} " in l][0]
        match(line, r"opened: return .* ret=-2 \(0xfffffffe, ENOENT\) ns=\d+")


def test_results_that_are_no_errno_are_shown_as_they_are():
    """A file descriptor, and 4096 less than 2^32, which is no errno."""
    with loaded(probes("r:sought " + arch.handler_of("lseek"))) as kmsg:
        kmsg.lines()
        fd = os.memfd_create("rust_kprobe")
        values = [0, 1, 2**31, 2**32 - 4096, 2**32, 2**40]
        for value in values:
            os.lseek(fd, value, os.SEEK_SET)
        # What the README says of a number without a sign.
        os.lseek(fd, 2**32 - 4095, os.SEEK_SET)
        os.close(fd)
        lines = [l for l in kmsg.lines() if f" pid={os.getpid()} " in l]
        match_lines(lines, [returned("sought", value) for value in values]
                    + [r"sought: return .* ret=-4095 \(0xfffff001\) ns=\d+"])


def test_pointers_are_hashed():
    """No line shows where the kernel's memory lies to those who may read the log."""
    with loaded(probes("r:opened do_file_open; p:enter kernel_clone")) as kmsg:
        os.close(os.open("/", os.O_RDONLY))
        try:
            os.open("/no such file", os.O_RDONLY)
        except FileNotFoundError:
            pass
        lines = kmsg.lines()
        mine = [line for line in lines if f" pid={os.getpid()} " in line]
        match_lines(
            mine,
            [
                r"opened: return .* ret=pointer \((0{8}[0-9a-f]{8}|\(____ptrval____\))\) ns=\d+",
                r"opened: return .* ret=-2 \(0xfffffffffffffffe, ENOENT\) ns=\d+",
            ],
        )
        shown = [n for line in lines for n in re.findall(r"[0-9a-f]{16}", line)]
        # But errors are shown as they are.
        equal([n for n in shown if n.startswith("ff") and int(n, 16) < 2**64 - 4095], [])
        if not shown:
            raise AssertionError(f"no address in {lines}")


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


def test_two_probes_on_one_function():
    with loaded(probes(f"p:one {TARGET}; p:two {TARGET}")) as kmsg:
        kmsg.lines()
        trigger(5)
        lines = kmsg.lines()
        equal(sum(l.startswith("one: pre ") for l in lines), 5)
        equal(sum(l.startswith("two: pre ") for l in lines), 5)
        rmmod()
        match_lines(kmsg.lines(), [unregistered("one", 5, 0, 0), unregistered("two", 5, 0, 0)])
    nothing_left()


def test_probe_at_an_offset():
    with loaded(probes(f"p:in {TARGET}+{INSIDE:#x}")) as kmsg:
        found = match(kmsg.lines()[0], registered("in", "p", f"{TARGET}+{INSIDE:#x}", "(jump|breakpoint)"))
        # The kernel's own list tells the same.
        (line,) = kprobe_list()
        equal("[OPTIMIZED]" in line, found.groups()[-1] == "jump")
        trigger(7)
        rmmod()
        match(kmsg.lines()[-1], unregistered("in", 7, 0, 0))
    nothing_left()


def test_names_are_those_of_tracefs_where_none_is_given():
    with loaded(probes(f"p {TARGET}; p {TARGET}+{INSIDE}; r {TARGET}")) as kmsg:
        names = [line.split(":")[0] for line in kmsg.lines()]
        equal(names, [f"p_{TARGET}_0", f"p_{TARGET}_{INSIDE}", f"r_{TARGET}_0"])


def test_names_are_those_of_tracefs_for_any_symbol():
    """tracefs makes names of the same definitions, and shows them."""
    events = "/sys/kernel/tracing/kprobe_events"
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        symbols = [line.split() for line in kallsyms]
    # What the compiler made of a function, and the longest name there is.
    traced = {line.split()[0] for line in open("/sys/kernel/tracing/available_filter_functions",
                                               encoding="ascii")}
    dotted = [s[2] for s in symbols if "." in s[2] and s[2] in traced]
    longest = max((name for name in traced if len(name) > 30), key=len)
    places = [TARGET, f"{TARGET}+{INSIDE}", longest, *dotted[:1]]
    made = []
    for place in places:
        with open(events, "w", encoding="ascii") as file:
            file.write(f"p {place}\n")
        made += re.findall(r"^p:kprobes/(\S+) ", open(events, encoding="ascii").read(), re.MULTILINE)
        with open(events, "w", encoding="ascii"):
            pass  # To truncate it is to remove them.
    equal(len(made), len(places))
    with loaded(probes("; ".join(f"p {place}" for place in places))) as kmsg:
        equal([line.split(":")[0] for line in kmsg.lines()], made)


def test_commas_serve_where_a_space_cannot():
    with loaded(f"probes=p:enter,{TARGET};r:leave,{TARGET}".encode()) as kmsg:
        equal([line.split(":")[0] for line in kmsg.lines()], ["enter", "leave"])


def test_a_dry_pool_counts_as_missed():
    with loaded(probes(f"r1:nap {NAP}")) as kmsg:
        threads = [threading.Thread(target=time.sleep, args=(0.5,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rmmod()
        hits, missed, _ = map(int, match(kmsg.lines()[-1], unregistered("nap")).groups())
        # Somebody else may have slept as well.
        if hits < 1 or missed < 2:
            raise AssertionError(f"{hits} hits, {missed} missed")


def test_a_probe_in_printk_itself_does_no_harm():
    with loaded(probes(f"p:say vprintk_emit; p:enter {TARGET}")) as kmsg:
        kmsg.lines()
        trigger(3)
        rmmod()
        found = match_lines(kmsg.lines()[-2:], [unregistered("say"), unregistered("enter", 3, 0, 0)])
        if int(found[0][2]) < 3:
            raise AssertionError(f"hits in a handler were not counted as missed: {found[0][0]}")
    nothing_left()


def test_a_program_cannot_forge_lines_by_its_name():
    with loaded(probes(f"p:enter {TARGET}")) as kmsg:
        kmsg.lines()
        before = open("/proc/self/comm", "rb").read().strip()
        LIBC.prctl(PR_SET_NAME, b"a\nrust\x1b[31m")
        try:
            trigger()
        finally:
            LIBC.prctl(PR_SET_NAME, before)
        match_lines(kmsg.lines(), [hit("enter", "pre", os.getpid(), r"a\\nrust\\x1b\[31m")])


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


# What is refused: the parameter, the errno, and what the one line says behind
# "probes: definition ".
def refusals():
    symbol = "x" * 4990
    within = {
        errno.EILSEQ: r"the offset is not the start of an instruction \(EILSEQ\)",
        errno.EINVAL: r"this place cannot be probed: .* \(EINVAL\)",
    }[arch.WITHIN]
    no_symbol = r"no symbol; .* \(EINVAL\)"
    return [
        ("unknown symbol", b"p:x no_such_function", errno.ENOENT,
         r'1 "p:x no_such_function", column 5: no such symbol \(ENOENT\)'),
        ("unknown symbol in the second", f"p {TARGET}; r:x no_such_function".encode(), errno.ENOENT,
         r'2 "r:x no_such_function", column 5: no such symbol \(ENOENT\)'),
        ("unknown module", b"p nomodule:f", errno.ENOENT,
         r'1 "p nomodule:f", column 3: no such symbol \(ENOENT\)'),
        ("offset within an instruction", f"p {TARGET}+{WITHIN}".encode(), arch.WITHIN,
         rf'1 "p {TARGET}\+{WITHIN}", column 3: {within}'),
        ("offset beyond the kernel", f"p {TARGET}+0x7fffffff".encode(), errno.ENOENT,
         rf'1 "p {TARGET}\+0x7fffffff", column 3: no such symbol \(ENOENT\)'),
        ("NOKPROBE function", b"p get_kprobe", errno.EINVAL,
         r'1 "p get_kprobe", column 3: this place cannot be probed: .* \(EINVAL\)'),
        ("NOKPROBE function at return", b"r get_kprobe", errno.EINVAL,
         r'1 "r get_kprobe", column 3: not the entry of a function .*, or NOKPROBE \(EINVAL\)'),
        ("assembly at return", f"r {ASSEMBLY}".encode(), errno.EINVAL,
         rf'1 "r {ASSEMBLY}", column 3: not the entry of a function .* \(EINVAL\)'),
        ("function without ftrace at return", b"r vsnprintf", errno.EINVAL,
         r'1 "r vsnprintf", column 3: not the entry of a function .* \(EINVAL\)'),
        ("not a function", b"p jiffies", errno.EINVAL,
         r'1 "p jiffies", column 3: this place cannot be probed: .* \(EINVAL\)'),
        ("offset on a return probe", f"r {TARGET}+4".encode(), errno.EINVAL,
         rf'1 "r {TARGET}\+4", column {3 + len(TARGET)}: a return probe takes no offset \(EINVAL\)'),
        ("empty parameter", b"", errno.EINVAL, r'1 "", column 1: empty definition \(EINVAL\)'),
        ("empty definition", f"p {TARGET};;p {TARGET}+{INSIDE}".encode(), errno.EINVAL,
         r'2 "", column 1: empty definition \(EINVAL\)'),
        ("semicolon at the end", f"p {TARGET};".encode(), errno.EINVAL,
         r'2 "", column 1: empty definition \(EINVAL\)'),
        ("no symbol", b"p:x", errno.EINVAL, rf'1 "p:x", column 4: {no_symbol}'),
        ("no kind", f"x {TARGET}".encode(), errno.EINVAL,
         r'1 "x .*", column 1: a definition begins with p or r \(EINVAL\)'),
        ("one name twice", f"p:x {TARGET}; r:x {TARGET}".encode(), errno.EINVAL,
         r'2 "r:x .*", column 1: a definition before it has the same name \(EINVAL\)'),
        ("one place twice", f"p {TARGET}; p {TARGET}+0".encode(), errno.EINVAL,
         r'2 "p .*", column 1: a definition before it has the same name \(EINVAL\)'),
        ("too many calls", f"r4097 {TARGET}".encode(), errno.EINVAL,
         r'1 "r4097 .*", column 2: the number of calls must be 1 to 4096 \(EINVAL\)'),
        ("a 4990-character symbol", f"p {symbol}"[:4000].encode(), errno.EINVAL,
         r'1 "p x{78}\.\.\.", column 3: a symbol has at most 511 characters \(EINVAL\)'),
        ("a 5000-character parameter", f"p:x {symbol}xxxxxx".encode(), errno.ENOSPC,
         r'1 "p:x x{76}\.\.\.", column 4097: the parameter has at most 4096 characters \(ENOSPC\)'),
        ("an octal offset", f"p {TARGET}+014".encode(), errno.EINVAL,
         rf'1 "p .*", column {4 + len(TARGET)}: a number does not begin with 0, but for 0x \(EINVAL\)'),
        ("an octal number of calls", f"r010 {TARGET}".encode(), errno.EINVAL,
         r'1 "r010 .*", column 2: a number does not begin with 0, but for 0x \(EINVAL\)'),
        ("garbage", bytes([0xFF, 0xFE, 0x01, 0x80, 0x7F]), errno.EINVAL,
         r'1 "\\xff\\xfe\\x01\\x80\\x7f", column 1: a definition begins with p or r \(EINVAL\)'),
        ("garbage in a symbol", b"p do_\xf0\x9f\xa6\x80", errno.EINVAL,
         r'1 "p do_\\xf0\\x9f\\xa6\\x80", column 6: not a character of a symbol \(EINVAL\)'),
        ("terminal codes", b"p:x\x1b[31m y", errno.EINVAL,
         r'1 "p:x\\x1b\[31m y", column 4: a name has letters, digits and \'_\' \(EINVAL\)'),
    ]


def refusal_test(params, number, line):
    def test():
        with log() as kmsg:
            try:
                insmod(probes(params))
            except OSError as error:
                equal(errno.errorcode[error.errno], errno.errorcode[number])
            else:
                rmmod()
                raise AssertionError("it was not refused")
            match_lines(kmsg.lines(), ["probes: definition " + line])
        nothing_left()

    return test


def test_the_parameter_twice_is_refused():
    try:
        insmod(f"probes=p,{TARGET} probes=p,{TARGET}".encode())
    except OSError as error:
        equal(error.errno, errno.EEXIST)
    else:
        rmmod()
        raise AssertionError("it was not refused")
    nothing_left()


def main():
    tests = kmod.tests(globals())
    tests += [(f"refused: {name}", refusal_test(*rest)) for name, *rest in refusals()]
    return kmod.run("module", tests)


if __name__ == "__main__":
    MODULE = sys.argv[1]
    # INSIDE is the offset of an instruction in TARGET, WITHIN one that is not.
    INSIDE, WITHIN = arch.offsets(TARGET)
    sys.exit(main())
