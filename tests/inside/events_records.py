# SPDX-License-Identifier: GPL-2.0
"""Records of trace events: where their fields are, and how tracefs and the tools that read
them print them."""
import errno
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import kmod
from kmod import equal, match
from listening import (ALL, CALL, TRACING, address_of, armed, call, instance, loaded, perf_record,
                       put, refused, run, sender, tool, with_module)


FIELDS = """\
unsigned char small;	offset:8;	size:1;	signed:0;
long long negative;	offset:16;	size:8;	signed:1;
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


@with_module
def test_format_says_where_the_fields_are():
    text = (ALL["everything"] / "format").read_text()
    common, fields, rest = text.split("\n\n", 2)
    equal(common.splitlines()[0], "name: everything")
    equal(fields + "\n", "".join(f"\tfield:{line}\n" for line in FIELDS.splitlines()))
    equal(rest, 'print fmt: "small=%u negative=%lld truth=%u word=%u hex=0x%x list=%s bytes=%s task=%s '
          'at=%p function=%pS minus=%hd text=%s result=%d more=%s last=%u", REC->small, REC->negative, '
          'REC->truth, REC->word, REC->hex, __print_array(REC->list, 3, 2), '
          '__print_array(REC->bytes, 2, 1), REC->task, REC->at, (void *)REC->function, REC->minus, '
          '__get_str(text), REC->result, __get_str(more), REC->last\n')
    text = (ALL["line"] / "format").read_text()
    equal(text.splitlines()[-1], 'print fmt: "100%% \\"%d\\" is {%d}", REC->n, REC->result')
    number = int((ALL["number"] / "id").read_text())
    if f"ID: {number}\n" not in (ALL["number"] / "format").read_text():
        raise AssertionError(number)


def expected(text, length):
    short = text[:16]
    return (rf"everything: small=200 negative=-{length} truth=1 word=4660 hex=0xbeef "
            rf"list={{0x1,0x2,0xffff}} bytes={{0xff,0x2}} task=python3 at=[0-9a-f]{{16}} "
            rf"function=events_text\+0x[04]/0x[0-9a-f]+ \[events\] minus=-3 text={re.escape(short)} "
            rf"result=-2 more={re.escape(text)} last=7")


@with_module
def test_records_are_printed():
    with ALL.listening("number", "everything", "line", "other", "set"):
        call("number 5 2")
        call("text hello")
        call("bound 2")
        call("bound 4000000")
        call("number 18446744073709551615 1")
        lines = ALL.lines()
    equal([line for line in lines if not line.startswith("everything")], [
        "number: value=5", "number: value=6", "set: index=0", "set: index=1", 'line: 100% "2" is {-2}',
        "other: n=2", "set: index=1", 'line: 100% "4000000" is {0}', "other: n=4000000",
        "number: value=18446744073709551615"])
    match([line for line in lines if line.startswith("everything")][0], expected("hello", 5))


@with_module
def test_strings_are_escaped_and_cut():
    for text in ("a\tb\x1b[31m\xff\\ 16", "x" * 16, "x" * 17, "x" * 299, "x" * 300, "x" * 301, "x" * 310, ""):
        with ALL.listening("everything"):
            call(f"text {text}")
            line = [line for line in ALL.lines() if line.startswith("everything")][0]
        shown = [re.sub(r"[^ -~]", lambda m: {"\t": "\\t"}.get(m[0], f"\\x{ord(m[0]):02x}"),
                        text if len(text) <= most else f"{text[:most - 3]}...") for most in (16, 300)]
        words = re.search(r" text=(.*) result=-2 more=(.*) last=7$", line)
        equal([words[1], words[2]], shown)


def test_redefined_names_change_no_record():
    """A module that has its own `core`, macros, primitive types, constants and methods."""
    with loaded("events_hostile"), ALL.listening("strange", "own"):
        os.getpriority(os.PRIO_PROCESS, 0)
        equal(ALL.lines()[:2], [
            "strange: entry=1 life={0x2,0x3,0x4} record=text self_=0x5 at={0x6,0x7}",
            "own: bytes={0x8,0x9,0xa,0xb,0xc} next=13"])
        fields = re.findall(r"field:(.*?);.*offset:(\d+);.*size:(\d+);",
                            (ALL["strange"] / "format").read_text())[-5:]
    equal(fields, [("unsigned int entry", "8", "4"), ("unsigned short life[3]", "12", "6"),
                   ("__data_loc char[] record", "20", "4"),
                   ("unsigned long long self_", "24", "8"), ("unsigned short at[2]", "32", "4")])


def test_a_long_line_is_cut_and_marked():
    with loaded("events_hostile"), ALL.listening("wide"):
        for _ in range(3):
            os.getpriority(os.PRIO_PROCESS, 0)
        lines = ALL.lines()
        pipe = os.open(TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        piped = b""
        try:
            while part := os.read(pipe, 65536):
                piped += part
        except BlockingIOError:
            pass
        os.close(pipe)
    equal(len(lines), 3)
    equal(len(piped.splitlines()), 3)
    for line in [*lines, *piped.decode().splitlines()]:
        if not re.search(r"wide: all=\{0xff(,0xff){1300,}\}\.\.\.$", line):
            raise AssertionError(line)


@with_module
def test_pointers_are_hashed():
    with ALL.listening("everything"):
        call("text a")
        shown = re.search(r" at=([0-9a-f]+) ", ALL.lines()[-1])[1]
    if not shown.startswith("00000000"):
        raise AssertionError(shown)


def patterns():
    """The record of "text ab" as bytes, after the common fields."""
    first = struct.pack("<B7xqBxHI3H2b16s", 200, -2, 1, 0x1234, 0xbeef, 1, 2, 0xffff, -1, 2, b"python3")
    second = struct.pack("<Qh2xIiIB7x", address_of("events_text"), -3, 96 | 3 << 16, -2, 99 | 3 << 16, 7)
    return re.compile(re.escape(first) + b".{8}" + re.escape(second) + b"ab\0ab\0\0\0", re.DOTALL)


def fill_and_emit():
    """Leaves no zero where a record could leave a gap, then emits 3 of them."""
    for _ in range(60):
        call("text " + "\xff" * 299)
    for _ in range(3):
        call("text ab")


def pages(of):
    """What is in the buffer of an instance, as the kernel has it."""
    data = b""
    for cpu in (of.folder / "per_cpu").iterdir():
        fd = os.open(cpu / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while page := os.read(fd, os.sysconf("SC_PAGESIZE")):
                data += page
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
    return data


@with_module
def test_nothing_unwritten_goes_to_tracefs():
    with instance("raw") as raw:
        put(raw.folder / "buffer_size_kb", "8")
        with raw.listening("everything"):
            fill_and_emit()
        equal(len(patterns().findall(pages(raw))), 3)
        # With a filter, records go by way of another page.
        put(raw["everything"] / "filter", "small == 200")
        with raw.listening("everything"):
            fill_and_emit()
        equal(len(patterns().findall(pages(raw))), 3, "with a filter")


@with_module
def test_nothing_unwritten_goes_to_perf():
    tool("perf")
    script = ("import os\n"
              f"def call(w):\n f=os.open('{CALL}', os.O_WRONLY); os.write(f, w.encode('latin1')); os.close(f)\n"
              "open('/proc/self/comm','w').write('python3')\n"
              "for _ in range(60): call('text ' + '\\xff' * 299)\n"
              "for _ in range(3): call('text ab')\n")
    with tempfile.TemporaryDirectory() as directory:
        # Records of all events are made in the same memory.
        data = perf_record(directory, "everything", "filler", script=script)
        equal(len(patterns().findall(Path(data).read_bytes())), 3)


@with_module
def test_perf_record_and_script():
    tool("perf")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "number", "everything", "line",
                           script=sender("number 77 2", "text Hallo", "bound 3"))
        out = run("perf", "script", "-F", "event,trace", "-i", data).stdout.splitlines()
    lines = [line.strip() for line in out if line.strip()]
    equal([re.sub(r" +", " ", line) for line in lines if "everything" not in line],
          ["events_test:number: value=77", "events_test:number: value=78",
           'events_test:line: 100% "3" is {-3}'])
    line = next(line for line in lines if "everything" in line)
    for part in ("negative=-5", "truth=1", "hex=0xbeef", "task=python3", "minus=-3", "text=Hallo",
                 "result=-2", "last=7"):
        if f" {part}" not in line:
            raise AssertionError(f"no {part} in {line}")
    # perf does not know the functions of every module.
    function = re.search(r" function=(\S+)", line)[1].split("+")[0]
    if function not in ("events_text", hex(address_of("events_text"))):
        raise AssertionError(line)
    equal(armed("events_number"), [False])


@with_module
def test_perf_stat_counts_and_filters():
    tool("perf")
    out = run("perf", "stat", "-x,", "-a", "-e", "events_test:number", sys.executable, "-c",
              sender("number 1 12345")).stderr
    equal(out.split(",")[0], "12345")
    with tempfile.TemporaryDirectory() as directory:
        data = perf_record(directory, "number", script=sender("number 1 9"),
                           options=("--filter", "value > 2 && value < 5"))
        out = run("perf", "script", "-F", "trace", "-i", data).stdout.split()
    equal(out, ["value=3", "value=4"])


@with_module
def test_perf_has_call_chains():
    tool("perf")
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        run("perf", "record", "-q", "-a", "-g", "-e", "events_test:number", "-o", data, "--",
            sys.executable, "-c", sender("number 1 1"))
        out = run("perf", "script", "-F", "ip,sym", "-i", data).stdout
    # perf does not find the module's own symbols.
    for name in ("param_attr_store", "vfs_write"):
        if name not in out:
            raise AssertionError(repr(out))


@with_module
def test_trace_cmd():
    tool("trace-cmd")
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/trace.dat"
        run("trace-cmd", "record", "-q", "-o", data, "-e", "events_test:number", "-e",
            "events_test:everything", sys.executable, "-c", sender("number 77 2", "text Hallo"))
        out = run("trace-cmd", "report", "-i", data).stdout
    found = re.findall(r"(number|everything): +(?:value=(\d+)|.* text=(\w+) .* last=7)", out)
    equal(found, [("number", "77", ""), ("number", "78", ""), ("everything", "", "Hallo")])
    equal(armed("events_number"), [False])


@with_module
def test_bpftrace():
    tool("bpftrace")
    # Not args->text: bpftrace 0.23 finds no string that is behind its record, of no event.
    program = ('tracepoint:events_test:everything { printf("%s %d %d %d\\n", args->task, '
               'args->small, args->list[2], args->minus); exit() } '
               'tracepoint:events_test:number { @[args->value] = count(); } '
               'interval:s:1 { printf("tick\\n"); }')
    with subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT) as tracer:
        lines = []
        for line in tracer.stdout:
            lines.append(line.strip())
            if line == "tick\n":
                equal(armed("events_number"), [True])
                refused(errno.EAGAIN, kmod.rmmod, "events")
                call("number 5 3")
                call("number 6 1")
                call("text bpf")
                break
        lines += [line.strip() for line in tracer.stdout]
    lines = [line for line in lines if line and line != "tick" and not line.startswith("Attaching")]
    equal(sorted(lines), ["@[5]: 1", "@[6]: 2", "@[7]: 1", "python3 200 65535 -3"])
    equal(armed("events_number"), [False])
