# SPDX-License-Identifier: GPL-2.0
"""Records of trace events: where their fields are, and how tracefs and tools print them."""
import os
import re
import struct
import sys
import tempfile

from kmod import TRACING, check, equal, match, read, refused, rmmod, write
from listening import (ALL, BOTH, address_of, armed, by_bpftrace, by_perf, call, instance, module,
                       run, sender, tool, traced, with_module)

FIELDS = """\
unsigned char small;	offset:8;	size:1;	signed:0;
s64 negative;	offset:16;	size:8;	signed:1;
unsigned char truth;	offset:24;	size:1;	signed:0;
unsigned short word;	offset:26;	size:2;	signed:0;
unsigned int hex;	offset:28;	size:4;	signed:0;
unsigned short list[3];	offset:32;	size:6;	signed:0;
signed char bytes[2];	offset:38;	size:2;	signed:1;
char task[16];	offset:40;	size:16;	signed:0;
void * at;	offset:56;	size:8;	signed:0;
void * function;	offset:64;	size:8;	signed:0;
short minus;	offset:72;	size:2;	signed:1;
__data_loc char[] text;	offset:76;	size:4;	signed:0;
int result;	offset:80;	size:4;	signed:1;
__data_loc char[] more;	offset:84;	size:4;	signed:0;
unsigned char last;	offset:88;	size:1;	signed:0;
"""


HELLO = (
    r"everything: small=200 negative=-5 truth=1 word=4660 hex=0xbeef list={0x1,0x2,0xffff} "
    r"bytes={0xff,0x2} task=python3 at=(0{8}[0-9a-f]{8}) "
    r"function=events_text\+0x[04]/0x[0-9a-f]+ \[events\] minus=-3 text=hello result=-2 more=hello "
    r"last=7")


@with_module
def test_the_format_file_describes_the_fields():
    text = read(ALL["everything"] / "format")
    common, fields, _ = text.split("\n\n", 2)
    equal(common.splitlines()[0], "name: everything")
    equal(fields + "\n", "".join(f"\tfield:{line}\n" for line in FIELDS.splitlines()))
    text = read(ALL["line"] / "format")
    equal(text.splitlines()[-1], 'print fmt: "100%% \\"%d\\" is {%d}", REC->n, REC->result')
    last = read(ALL["many"] / "format").splitlines()[-1]
    equal((last.count("=%u"), last.count(", REC->a_long_name_no")), (60, 60))
    number = read(ALL["number"] / "id")
    check(f"ID: {number}" in read(ALL["number"] / "format"), number)


@with_module
def test_records_are_printed_in_their_format():
    with ALL.listening("number", "everything", "line", "other", "set"):
        call("number 5 2")
        call("text hello")
        call("bound 2")
        call("bound 4000000")
        call("number 18446744073709551615 1")
        lines = ALL.lines()
    match(lines.pop(next(n for n, line in enumerate(lines) if "everything" in line)), HELLO)
    equal(lines, [
        "number: value=5", "number: value=6", "set: index=0", "set: index=1",
        'line: 100% "2" is {-2}', "other: n=2", "set: index=1", 'line: 100% "4000000" is {0}',
        "other: n=4000000", "number: value=18446744073709551615"])


@with_module
def test_strings_are_escaped_and_truncated():
    lengths = 16, 17, 299, 300, 301, 310, 0
    for text in ("a\tb\x1b[31m\xff\\ 16", *(length * "x" for length in lengths)):
        with ALL.listening("everything"):
            call(f"text {text}")
            line = [line for line in ALL.lines() if line.startswith("everything")][0]
        shown = [re.sub(r"[^ -~]", lambda m: {"\t": "\\t"}.get(m[0], f"\\x{ord(m[0]):02x}"),
                        text if len(text) <= most else f"{text[:most - 3]}...")
                 for most in (16, 300)]
        words = re.search(r" text=(.*) result=-2 more=(.*) last=7$", line)
        equal([words[1], words[2]], shown)


@with_module
def test_a_synthetic_event_accepts_an_i64_field():
    synthetic, trigger = TRACING / "synthetic_events", ALL["everything"] / "trigger"
    hist = "hist:keys=common_pid:n=negative:onmax($n).trace(taken,$n)"
    write(synthetic, "taken s64 negative")
    try:
        write(trigger, hist)
        write(trigger, f"!{hist}")
    finally:
        write(synthetic, "")


def test_redefined_core_names_do_not_change_records():
    with module("events_hostile"), ALL.listening("strange", "own"):
        os.getpriority(os.PRIO_PROCESS, 0)
        equal(ALL.lines()[:2], [
            "strange: entry=1 life={0x2,0x3,0x4} record=text self_=0x5 at={0x6,0x7}",
            "own: bytes={0x8,0x9,0xa,0xb,0xc} next=13"])
        fields = re.findall(r"field:(.*?);.*offset:(\d+);.*size:(\d+);",
                            read(ALL["strange"] / "format"))[-5:]
    equal(fields, [("unsigned int entry", "8", "4"), ("unsigned short life[3]", "12", "6"),
                   ("__data_loc char[] record", "20", "4"),
                   ("unsigned long long self_", "24", "8"), ("unsigned short at[2]", "32", "4")])


def piped(path):
    """All data that can be read without blocking, page by page."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    data = b""
    try:
        while page := os.read(fd, os.sysconf("SC_PAGESIZE")):
            data += page
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
    return data


def test_a_long_line_is_truncated_and_marked():
    with module("events_hostile"), ALL.listening("wide"):
        for _ in range(3):
            os.getpriority(os.PRIO_PROCESS, 0)
        lines = ALL.lines(), piped(TRACING / "trace_pipe").decode().splitlines()
    equal([len(of_one) for of_one in lines], [3, 3])
    for line in sum(lines, []):
        check(re.search(r"wide: all=\{0xff(,0xff){1300,}\}\.\.\.$", line), line)


def pattern():
    """The record of "text ab" as bytes, after the common fields."""
    first = struct.pack("<B7xqBxHI3H2b16s", 200, -2, 1, 0x1234, 0xbeef, 1, 2, 0xffff, -1, 2,
                        b"python3")
    second = struct.pack("<Qh2xIiIB7x", address_of("events_text"), -3, 96 | 3 << 16, -2,
                         99 | 3 << 16, 7)
    return re.compile(re.escape(first) + b".{8}" + re.escape(second) + b"ab\0ab\0\0\0", re.DOTALL)


# Fills the buffer with bytes that are not zero, then emits 3 records.
FILL_AND_EMIT = 60 * ["text " + "\xff" * 299] + 3 * ["text ab"]


@with_module
def test_no_uninitialized_byte_reaches_tracefs():
    with instance("raw") as raw:
        write(raw.folder / "buffer_size_kb", 8)
        # With a filter, the kernel writes records by way of another page.
        for text in "0", "small == 200":
            raw.filter("everything", text)
            with raw.listening("everything"):
                for words in FILL_AND_EMIT:
                    call(words)
            data = b"".join(piped(cpu / "trace_pipe_raw") for cpu in
                            (raw.folder / "per_cpu").iterdir())
            equal(len(pattern().findall(data)), 3, f"with the filter {text}")


@with_module
def test_no_uninitialized_byte_reaches_perf():
    # perf makes the records of all events in the same buffer.
    *_, data = by_perf(sender(*FILL_AND_EMIT), "everything", "filler")
    equal(len(pattern().findall(data)), 3)


@with_module
def test_perf_records_and_prints_events():
    script = sender("number 77 2", "text Hallo", "bound 3", "entered 5 2")
    lines, chains, _ = by_perf(script, "number", "everything", "line", "entered", "both",
                               fields=("event,trace", "ip,sym"))
    lines = [line for line in lines if line.startswith("events_test:")]
    line = lines.pop(next(n for n, line in enumerate(lines) if "everything" in line))
    equal(lines, ["events_test:number: value=77", "events_test:number: value=78",
                  'events_test:line: 100% "3" is {-3}', *(line for n in (5, 6) for line in (
                      f"events_test:both: value={n} index=0", f"events_test:entered: value={n}",
                      f"events_test:both: value={n} index=1"))])
    for part in ("negative=-5", "truth=1", "hex=0xbeef", "task=python3", "minus=-3", "text=Hallo",
                 "result=-2", "last=7"):
        check(f" {part}" in line, f"no {part} in {line}")
    # perf does not know the functions of every module, nor the module's symbols.
    function = re.search(r" function=(\S+)", line)[1].split("+")[0]
    check(function in ("events_text", hex(address_of("events_text"))), line)
    for name in ("param_attr_store", "vfs_write"):
        check(any(name in words for words in chains), chains)
    equal((armed("events_number"), traced()), ([False], []))


@with_module
def test_trace_cmd_records_and_prints_events():
    tool("trace-cmd")
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/trace.dat"
        run("trace-cmd", "record", "-q", "-o", data, "-e", "events_test:number", "-e",
            "events_test:everything", sys.executable, "-c", sender("number 77 2", "text Hallo"))
        out = run("trace-cmd", "report", "-i", data).stdout
    found = re.findall(r"(number|everything): +(?:value=(\d+)|.* text=(\w+) .* last=7)", out)
    equal(found, [("number", "77", ""), ("number", "78", ""), ("everything", "", "Hallo")])


@with_module
def test_bpftrace_reads_event_fields():
    def step():
        equal(armed("events_number"), [True])
        check(set(BOTH) <= set(traced()), traced())
        refused("EAGAIN", rmmod, "events")
        call("number 5 3")
        call("number 6 1")
        call("entered 5 2")
        call("text bpf")

    # Not args->text: bpftrace 0.23 finds no string after a record, of any event.
    program = ('tracepoint:events_test:everything { printf("%s %d %d %d\\n", args->task, '
               'args->small, args->list[2], args->minus); exit() } '
               'tracepoint:events_test:number { @[args->value] = count(); } '
               'tracepoint:events_test:both { @both[args->value, args->index] = count(); }')
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        program = f"#define s64 long long\n{program}"
    equal(by_bpftrace(program, step), [
        "@[5]: 1", "@[6]: 2", "@[7]: 1", *(f"@both[{n}, {i}]: 1" for n in (5, 6) for i in (0, 1)),
        "python3 200 65535 -3"])
    equal((armed("events_number"), traced()), ([False], []))
