#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the probes in the guest. Prints lines of ROW, PEER and COST, separated by tabs. COST is
the cost of a call with the probe less that of the bare call, in nanoseconds of the guest's clock.

usage: measure.py CALLS [ROW...]

CALLS is the number of calls in a measurement. Without ROWs, measures all rows.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

DEBUG = Path("/sys/kernel/debug")
TRACE = Path("/sys/kernel/tracing")
ROOT = Path(__file__).resolve().parent.parent
CALLS = int(sys.argv[1])
PEERS = ("C", "Rust")

# The kinds of bench_c and bench_rust, each a row, and the file that calls the probed function.
KINDS = dict.fromkeys((
    "kprobe_empty", "kprobe_counting", "kprobe_percpu", "kprobe_by_pid", "kprobe_post",
    "kprobe_jump", "kprobe_int3", "condition_false", "condition_true", "user_string",
    "kretprobe_empty", "kretprobe_data", "kretprobe_histogram", "tracepoint", "entry_empty",
    "entry_counting", "entry_percpu", "entry_args", "entry_by_pid"), "call") | {
    "kprobe_jump": "inside", "kprobe_int3": "inside", "tracepoint": "kmalloc"}
# The offset of the first instruction after the ftrace call.
INSIDE = 5
# A thousand functions, all of which are called, so that some of them are not in the first slot of
# the table; and all but those that begin with "c", like the caller.
PATTERNS = {"entry_percpu_1000": "bench_*", "entry_percpu_all": "[abd-zA-Z_]*"}
BPFTRACE = (
    ("kprobe_counting", "count()", "kprobe:bench_call { @ = count(); }"),
    ("kprobe_counting", "@++", "kprobe:bench_call { @++; }"),
    ("kprobe_by_pid", "@[pid]", "kprobe:bench_call { @[pid] = count(); }"),
    ("kprobe_by_stack", "@[kstack]", "kprobe:bench_call { @[kstack(16)] = count(); }"),
    ("event", "printf()", 'kprobe:bench_call { printf("%lu\\n", arg0); }'),
    ("event_string", "printf()", 'kprobe:bench_call { printf("%lu %s\\n", arg0, str(arg1)); }'),
    ("kretprobe_empty", "count()", "kretprobe:bench_call { @ = count(); }"),
    ("kretprobe_histogram", "hist()",
     "kprobe:bench_call { @s[tid] = nsecs; } "
     "kretprobe:bench_call /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }"),
)


def report(row, peer, cost):
    print(row, peer, f"{cost:.1f}", sep="\t", flush=True)


def per_call(file, runs=4):
    """Nanoseconds per call: the lowest of several runs after a warm-up."""
    costs = [int((DEBUG / "bench" / file).read_text()) / CALLS for _ in range(runs)]
    return min(costs[1:] or costs)


@contextmanager
def keys(number):
    """Sets the number of arguments that the file `keys` passes in turn."""
    (DEBUG / "bench/n_keys").write_text(str(number))
    yield


@contextmanager
def module(name, **params):
    subprocess.run(["insmod", ROOT / f"{name}.ko", *(f"{k}={v}" for k, v in params.items())],
                   check=True)
    try:
        yield
    finally:
        subprocess.run(["rmmod", Path(name).name], check=True)


def probe(peer, kind, **params):
    return module(f"bench/bench_{peer.lower()}", kind=kind, **params)


def write(file, text):
    # open() would seek.
    out = os.open(TRACE / file, os.O_WRONLY | os.O_APPEND)
    os.write(out, text.encode())
    os.close(out)


@contextmanager
def written(file, text, end):
    """Writes the text to a file of tracefs, and `end` afterwards."""
    write(file, text)
    try:
        yield
    finally:
        write(file, end)


def listening(event, *filters):
    return (written(f"events/{event}/enable", "1", "0"),
            *(written(f"events/{event}/filter", text, "0") for text in filters))


def triggered(event, hist):
    return written(f"events/{event}/trigger", f"hist:{hist}", f"!hist:{hist}")


def events():
    """Trace events: with 8 bytes, with a string, rejected by a filter, with a histogram, and
    without a listener."""
    rejects = "value != 42"
    for peer in PEERS:
        value, text = (f"bench_{peer.lower()}/{name}" for name in ("value", "text"))
        hist = triggered(value, "keys=value")
        for row, kind, *listeners in (
            ("event_disabled", "event"), ("event", "event", *listening(value)),
            ("event_filter", "event", *listening(value, rejects)), ("event_hist", "event", hist),
            ("event_string", "event_string", *listening(text)),
            ("event_entry_disabled", "event_entry"),
            ("event_entry", "event_entry", *listening(value)),
            ("event_entry_string", "event_entry_string", *listening(text)),
        ):
            yield row, peer, "call", probe(peer, kind), *listeners
    event = "kprobes/bench_event"
    for row, *listeners in (
        ("event_disabled",), ("event", *listening(event)),
        ("event_filter", *listening(event, rejects)), ("event_string", *listening(event)),
        ("kprobe_counting", triggered(event, "keys=common_type")),
        ("kprobe_by_pid", triggered(event, "keys=common_pid")),
        ("kprobe_by_stack", triggered(event, "keys=common_stacktrace")),
    ):
        text = "text=+0(%si):ustring" if row == "event_string" else ""
        yield row, "tracefs", "call", written(
            "kprobe_events", f"p:bench_event bench_call value=%di {text}\n",
            "-:bench_event\n"), *listeners


@contextmanager
def bpftrace(program):
    # A buffer for all of printf()'s records, because a lost record is cheaper; strings of this
    # size.
    room = {**os.environ, "BPFTRACE_PERF_RB_PAGES": "16384", "BPFTRACE_MAX_STRLEN": "64"}
    output = Path("/tmp/bpftrace.log")
    with open(output, "w", encoding="utf-8") as log:
        tracer = subprocess.Popen(["bpftrace", "-e", program], stdout=log, stderr=log, env=room)
    try:
        for _ in range(1200):
            if "bench_call" in (DEBUG / "kprobes/list").read_text():
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(output.read_text())
        time.sleep(1)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    if lost := re.search("Lost .*", output.read_text()):
        raise RuntimeError(f"{program}: {lost[0]}")


def settle(row):
    """Waits until the kernel has written a jump, and checks the probe's mechanism."""
    if row in ("kprobe_jump", "kprobe_int3"):
        time.sleep(1)
        optimized = "[OPTIMIZED]" in (DEBUG / "kprobes/list").read_text()
        if optimized != (row == "kprobe_jump"):
            raise RuntimeError(f"{row}: optimized is {optimized}")


def hits():
    """Yields the row, the peer, the file that calls, and what to set up."""
    for peer in PEERS:
        for row, file in KINDS.items():
            yield row, peer, file, probe(peer, row, inside=INSIDE)
        for row, pattern in PATTERNS.items():
            yield row, peer, "each", probe(peer, "entry_percpu", pattern=pattern)
        for row, number in (("entry_new_key", CALLS), ("entry_by_key_10", 10),
                            ("entry_by_key_1000", 1000), ("entry_by_key_100000", CALLS)):
            yield row, peer, "keys", keys(number), probe(peer, "entry_by_key")
        # An entry probe and a kprobe at the same function.
        yield ("entry_with_kprobe", peer, "call", module("bench/bench_min_c"),
               probe(peer, "entry_percpu"))
    yield from events()
    for row, peer in (("kprobe_by_stack", "Rust"), ("ftrace_ops", "C")):
        yield row, peer, "call", probe(peer, row)
    yield "entry_percpu", "fprobe", "call", probe("C", "fprobe")
    for kind in ("p", "r"):
        yield f"module_{kind}", "Rust", "call", module("rust_kprobe", probes=f"{kind},bench_call")
    for row, name, program in BPFTRACE if shutil.which("bpftrace") else ():
        yield row, f"bpftrace {name}", "call", bpftrace(program)


def logged(*modules):
    """What the modules logged, from insmod to rmmod: {word: number}"""
    subprocess.run(["dmesg", "--clear"], check=True)
    with ExitStack() as stack:
        for one in modules:
            stack.enter_context(one)
    log = subprocess.run(["dmesg"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = dict(re.findall(r"\b(attach|detach|bytes) (\d+)$", log, re.MULTILINE))
    if waits := re.search(r"(\d+) synchronize_rcu", log):
        found["grace_periods"] = waits[1]
    return {word: int(number) for word, number in found.items()}


def attaching():
    """The cost per probe, including the waiting, and the number of grace periods."""
    for n in (1, 10, 100, 1000):
        for how in ("single", "set"):
            for peer in PEERS:
                seen = logged(module("samples/funccount", functions="synchronize_rcu"),
                              probe(peer, how, n=n))
                for what in ("attach", "detach"):
                    report(f"{what}_{n}_{how}", peer, seen[what] // n)
                report(f"grace_periods_{n}_{how}", peer, seen["grace_periods"])
                if (n, how) == (1, "single"):
                    report("bytes_of_a_probe", peer, seen["bytes"])
    # Entry probes of many functions, in C also by an fprobe.
    for row, pattern in (("vfs", "vfs_*"), ("all", "*")):
        for peer, kind in (("C", "entry_percpu"), ("fprobe", "fprobe"), ("Rust", "entry_percpu")):
            seen = logged(probe("Rust" if peer == "Rust" else "C", kind, pattern=pattern))
            for what in ("attach", "detach"):
                report(f"{what}_entry_{row}", peer, seen[what])


def main(*wanted):
    with module("bench/bench_target", calls=CALLS):
        bare = {file: per_call(file) for file in ("call", "each", "inside", "keys", "kmalloc")}
        for row, peer, file, *needs in hits():
            if wanted and row not in wanted:
                continue
            with ExitStack() as stack:
                for one in needs:
                    stack.enter_context(one)
                settle(row)
                report(row, peer, per_call(file, 1 if row == "entry_new_key" else 4) - bare[file])
        if not wanted:
            attaching()


os.chdir(ROOT)
main(*sys.argv[2:])
