#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests rust_kprobe.ko in the guest: compares its log with rust_kprobe.rs's documentation, and
checks refused definitions. Prints KTAP.

usage: module.py [TEST...]
"""
import functools
import sys

import arch
import kmod
import module_lines
import module_places
from kmod import log, match_lines, probes, refused, unregistered
from module_loaded import INSIDE, MODULE, TARGET, WITHIN, probing, rmmod, trigger


def test_the_module_is_loaded_and_unloaded_100_times():
    for _ in range(100):
        with probing(f"p:enter {TARGET}; p:in {TARGET}+{INSIDE}; r:leave {TARGET}") as kmsg:
            trigger()
            rmmod()
            match_lines(kmsg.lines()[-3:],
                        [unregistered(name, 1, 0, 0) for name in ("enter", "in", "leave")])


def refusal(params, number, *lines):
    with log() as kmsg:
        refused(number, kmod.insmod, MODULE, params)
        # The kernel completes its own unterminated line before the next message.
        kmod.write("/dev/kmsg", "end")
        match_lines(kmsg.lines(), lines)
    kmod.nothing_left("rust_kprobe")


NO_SYMBOL = r"no such symbol \(ENOENT\)"
NO_PLACE = r"this place cannot be probed: .* \(EINVAL\)"
NO_ENTRY = r"not the entry of a function .* \(EINVAL\)"
NO_DEFINITION = r'1 "", column 1: no definition \(EINVAL\)'
TWICE = r"several functions have this name: .* \(EADDRNOTAVAIL\)"
NO_INSTRUCTION = {"EILSEQ": r"the offset is not the start of an instruction \(EILSEQ\)",
                  "EINVAL": NO_PLACE}[arch.WITHIN]
AT_MOST = r'1 "p x{78}\.\.\.", column 3: a symbol has at most 511 characters \(EINVAL\)'

# Refused definitions: the errno and the log line. tests/parser.rs has the parser's own.
DEFINITIONS = {
    "an offset within an instruction": (
        f"p {TARGET}+{WITHIN}", arch.WITHIN,
        rf'1 "p {TARGET}\+{WITHIN}", column 3: {NO_INSTRUCTION}'),
    "an offset beyond the kernel's text": (
        f"p {TARGET}+0x7fffffff", "ENOENT", rf'1 "p {TARGET}\+0x7fffffff", column 3: {NO_SYMBOL}'),
    "a symbol name of several functions": (
        "r init_once+8", "EADDRNOTAVAIL", rf'1 "r init_once\+8", column 3: {TWICE}'),
    "an unmapped address": (
        "p:x 0xffffffffffff1234", "ENOENT", rf'1 "p:x 0\.\.\.", column 5: {NO_SYMBOL}'),
    "a return probe inside a function": (
        f"r {TARGET}+{INSIDE}", "EINVAL", rf'1 "r {TARGET}\+{INSIDE}", column 3: {NO_ENTRY}'),
    "a NOKPROBE function": ("p get_kprobe", "EINVAL", rf'1 "p get_kprobe", column 3: {NO_PLACE}'),
    "a return probe on an assembly function": (
        f"r {arch.ASSEMBLY}", "EINVAL", rf'1 "r {arch.ASSEMBLY}", column 3: {NO_ENTRY}'),
    "a return probe on a function unknown to ftrace": (
        "r vsnprintf", "EINVAL", rf'1 "r vsnprintf", column 3: {NO_ENTRY}'),
    "a symbol of data": ("p jiffies", "EINVAL", rf'1 "p jiffies", column 3: {NO_PLACE}'),
    "an empty parameter": ("", "EINVAL", NO_DEFINITION),
    "a duplicate probe name": (
        f"p:x {TARGET}; r:x {TARGET}", "EINVAL",
        r'2 "r:x .*", column 1: an earlier definition has the same name \(EINVAL\)'),
    "a symbol of 4094 characters": ("p " + 4094 * "x", "EINVAL", AT_MOST),
    "a definition of non-ASCII bytes": (
        "\xff\xfe\x01\x80\x7f", "EINVAL",
        r'1 "\\xff\\xfe\\x01\\x80\\x7f", column 1: a definition must begin with p or r \(EINVAL\)'),
    "a probe name with terminal escape codes": (
        "p:x\x1b[31m y", "EINVAL",
        r'1 "p:x\\x1b\[31m y", column 4: a name has letters, digits and \'_\' \(EINVAL\)'),
}
REFUSALS = {name: (probes(params), number, "probes: definition " + line)
            for name, (params, number, line) in DEFINITIONS.items()} | {
    "a parameter of 4097 characters": (
        probes("p " + 4095 * "x"), "ENOSPC", r"probes: value exceeds 4096 .*\(ENOSPC\)", "`p x+.*"),
    "an unknown symbol": (
        probes("p:x no_such_function"), "ENOENT",
        rf'probes: definition 1 "p:x no_such_function", column 5: {NO_SYMBOL}',
        "to list similar names: grep -i no_such_fun /proc/kallsyms"),
    "a symbol of a module that is not loaded": (
        probes("p nomodule:f"), "ENOENT",
        r'probes: definition 1 "p nomodule:f", column 3: no loaded module has it \(ENOENT\)'),
    "a parameter given twice": (f"probes=p,{TARGET} probes=p,{TARGET}", "EEXIST", "`p,.*"),
}


def main():
    tests = []
    for part in vars(module_lines), vars(module_places), globals():
        tests += kmod.tests(part)
    tests += [(f"{name} is refused", functools.partial(refusal, *what))
              for name, what in REFUSALS.items()]
    return kmod.run("module", tests, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
