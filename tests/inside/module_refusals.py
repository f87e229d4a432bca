# SPDX-License-Identifier: GPL-2.0
"""What insmod refuses: the errno, the one line that says why, and nothing left."""
import errno

import arch
import kmod
from arch import ASSEMBLY
from kmod import equal, log, match_lines, probes
from loaded import TARGET, WITHIN, insmod, nothing_left, rmmod


# What is refused, where the kernel or the line has a part in it; all that the parser
# refuses stands in tests/parser.rs. The parameter, the errno, and what the one line
# says behind "probes: definition ".
def refusals():
    symbol = "x" * 4990
    within = {
        errno.EILSEQ: r"the offset is not the start of an instruction \(EILSEQ\)",
        errno.EINVAL: r"this place cannot be probed: .* \(EINVAL\)",
    }[arch.WITHIN]
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
        ("empty parameter", b"", errno.EINVAL, r'1 "", column 1: no definition \(EINVAL\)'),
        ("only separators", b" ;\n; ", errno.EINVAL, r'1 "", column 1: no definition \(EINVAL\)'),
        ("one name twice", f"p:x {TARGET}; r:x {TARGET}".encode(), errno.EINVAL,
         r'2 "r:x .*", column 1: an earlier definition has the same name \(EINVAL\)'),
        ("a 4990-character symbol", f"p {symbol}"[:4000].encode(), errno.EINVAL,
         r'1 "p x{78}\.\.\.", column 3: a symbol has at most 511 characters \(EINVAL\)'),
        ("garbage", bytes([0xFF, 0xFE, 0x01, 0x80, 0x7F]), errno.EINVAL,
         r'1 "\\xff\\xfe\\x01\\x80\\x7f", column 1: a definition begins with p or r \(EINVAL\)'),
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


def test_a_parameter_of_4097_characters_is_refused():
    for length, number, lines in (
            (4096, errno.EINVAL, [r'probes: definition 1 "p x{78}\.\.\.", column 3: a symbol has .*']),
            (4097, errno.ENOSPC, [r"probes: the value has at most 4096 characters \(ENOSPC\)", "`p x+.*"])):
        with log() as kmsg:
            try:
                insmod(probes("p " + (length - 2) * "x"))
            except OSError as error:
                equal(error.errno, number)
            else:
                rmmod()
                raise AssertionError("it was not refused")
            # The kernel's own line is too long, so it ends with the next one.
            with open("/dev/kmsg", "w", encoding="ascii") as end:
                end.write("end")
            match_lines(kmsg.lines(), lines)
    nothing_left()


def test_an_unknown_parameter_is_ignored():
    with log() as kmsg:
        insmod(f"nonsense=1 probes=p:x,{TARGET}".encode())
        kmod.match(kmsg.lines()[0], "unknown parameter 'nonsense' ignored")
    rmmod()
    nothing_left()


def test_the_parameter_twice_is_refused():
    try:
        insmod(f"probes=p,{TARGET} probes=p,{TARGET}".encode())
    except OSError as error:
        equal(error.errno, errno.EEXIST)
    else:
        rmmod()
        raise AssertionError("it was not refused")
    nothing_left()


TESTS = kmod.tests(globals()) + [
    (f"refused: {name}", refusal_test(*rest)) for name, *rest in refusals()
]
