#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the probes in the guest; prints `ROW IMPLEMENTATION NS`, where NS is the
cost of a call less the bare call, in nanoseconds of the guest's clock.

usage: measure.py CALLS INSIDE [ROW...]
       measure.py CALLS INSIDE scale SHARED

CALLS is the number of calls of the probed function in a measurement, INSIDE the
offset of an instruction in bench_inside. Without ROWs, all rows for one CPU are
measured. `scale` calls from 1, 2, 4 and 8 CPUs concurrently; SHARED is 1 if one host
CPU emulates them in turn, so that they share the time that passes.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

DEBUG = Path("/sys/kernel/debug")
TRACE = Path("/sys/kernel/tracing")
ROOT = Path(__file__).resolve().parent.parent

# Rows of probes in C and in Rust, and the file that calls the probed function.
TWINS = [
    ("kprobe_empty", "call"),
    ("kprobe_counting", "call"),
    ("kprobe_percpu", "call"),
    ("kprobe_by_pid", "call"),
    ("kprobe_post", "call"),
    ("kprobe_jump", "inside"),
    ("kprobe_int3", "inside"),
    ("condition_false", "call"),
    ("condition_true", "call"),
    ("user_string", "call"),
    ("kretprobe_empty", "call"),
    ("kretprobe_data", "call"),
    ("kretprobe_histogram", "call"),
    ("tracepoint", "kmalloc"),
]
# Entry probes: the row, the handler, the functions, and the file that calls them. All
# but those beginning with "c", which is what calls them; and a thousand, each of which is
# called: some have their place in the table taken by another.
ALL = "[abd-zA-Z_]*"
ENTRIES = [
    ("entry_empty", "empty", None, "call"),
    ("entry_counting", "counting", None, "call"),
    ("entry_percpu", "percpu", None, "call"),
    ("entry_args", "args", None, "call"),
    ("entry_by_pid", "by_pid", None, "call"),
    ("entry_percpu_1000", "percpu", "bench_*", "each"),
    ("entry_percpu_all", "percpu", ALL, "each"),
]
FLOORS = ["ftrace_ops", "fprobe"]
BPFTRACE = [
    ("kprobe_counting", "count()", "kprobe:bench_call { @ = count(); }"),
    ("kprobe_counting", "@++", "kprobe:bench_call { @++; }"),
    ("event", "printf()", 'kprobe:bench_call { printf("%lu\\n", arg0); }'),
    ("event_string", "printf()", 'kprobe:bench_call { printf("%lu %s\\n", arg0, str(arg1)); }'),
    ("kprobe_by_pid", "@[pid]", "kprobe:bench_call { @[pid] = count(); }"),
    ("kretprobe_empty", "count()", "kretprobe:bench_call { @ = count(); }"),
    ("kretprobe_histogram", "hist()",
     "kprobe:bench_call { @s[tid] = nsecs; } "
     "kretprobe:bench_call /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }"),
]


def target():
    return module("bench/bench_target", f"calls={CALLS}")


def per_call(file, runs=4):
    """Nanoseconds per call, the lowest of those after a warm-up, if there is more than one."""
    costs = [int((DEBUG / "bench" / file).read_text()) / CALLS for _ in range(runs)]
    return min(costs[1:] or costs)


@contextmanager
def module(name, *params):
    subprocess.run(["insmod", ROOT / f"{name}.ko", *params], check=True)
    try:
        yield
    finally:
        subprocess.run(["rmmod", Path(name).name], check=True)


def write(file, text):
    # Not by open(), which would seek.
    out = os.open(TRACE / file, os.O_WRONLY | os.O_APPEND)
    os.write(out, text.encode())
    os.close(out)


@contextmanager
def tracefs_event(arguments="value=%di"):
    write("kprobe_events", f"p:bench_event bench_call {arguments}\n")
    try:
        with listening("kprobes/bench_event"):
            yield
    finally:
        write("kprobe_events", "-:bench_event\n")


@contextmanager
def listening(event, words="1", file="enable", end="0"):
    write(f"events/{event}/{file}", words)
    try:
        yield
    finally:
        write(f"events/{event}/{file}", end)


def events(tell):
    """Trace events: a record of 8 bytes, one with a string, one that a filter rejects,
    a histogram, and none without a listener."""
    hist = ("hist:keys=value", "trigger", "!hist:keys=value")
    for language, kprobe, entry_probe in (("c", "event_c", "entry_c"),
                                          ("rust", "event_rust", "event_rust")):
        event = f"bench_{language}/value"
        with module(f"bench/bench_{kprobe}", "kind=value"):
            tell("event_nobody", language)
            with listening(event):
                tell("event", language)
                with listening(event, "value != 42", "filter"):
                    tell("event_filter", language)
            with listening(event, *hist):
                tell("event_hist", language)
        with module(f"bench/bench_{kprobe}", "kind=text"), listening(f"bench_{language}/text"):
            tell("event_string", language)
        with module(f"bench/bench_{entry_probe}", "kind=value_entry"):
            tell("event_entry_nobody", language)
            with listening(event):
                tell("event_entry", language)
        with module(f"bench/bench_{entry_probe}", "kind=text_entry"), \
                listening(f"bench_{language}/text"):
            tell("event_entry_string", language)
    with tracefs_event():
        tell("event", "tracefs")
        with listening("kprobes/bench_event", "value != 42", "filter"):
            tell("event_filter", "tracefs")
    with tracefs_event("value=%di text=+0(%si):ustring"):
        tell("event_string", "tracefs")
    write("synthetic_events", "bench_synth u64 value\n")
    with module("bench/bench_event_c", "kind=synth"), listening("synthetic/bench_synth"):
        tell("event", "synth")
    write("synthetic_events", "!bench_synth\n")


@contextmanager
def bpftrace(program):
    # Room for all that printf() says: what is lost is cheaper. It copies strings at this size.
    room = {**os.environ, "BPFTRACE_PERF_RB_PAGES": "16384", "BPFTRACE_MAX_STRLEN": "64"}
    with open("/tmp/bpftrace.log", "w", encoding="utf-8") as log:
        tracer = subprocess.Popen(["bpftrace", "-e", program], stdout=log, stderr=log, env=room)
    try:
        # It is attached when the kernel lists the probe.
        for _ in range(1200):
            if "bench_call" in (DEBUG / "kprobes/list").read_text():
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(Path("/tmp/bpftrace.log").read_text())
        time.sleep(1)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    lost = re.search("Lost .*", Path("/tmp/bpftrace.log").read_text())
    if lost:
        raise RuntimeError(f"{program}: {lost[0]}")


def settle(row):
    """Waits until the kernel has written the jump, and checks that the probe is of the
    row's kind."""
    if row not in ("kprobe_jump", "kprobe_int3"):
        return
    time.sleep(1)
    optimized = "[OPTIMIZED]" in (DEBUG / "kprobes/list").read_text()
    if optimized != (row == "kprobe_jump"):
        raise RuntimeError(f"{row}: optimized is {optimized}")


def many():
    """Attaching and detaching: the cost for each probe, with waiting, and the number
    of grace periods from insmod to rmmod."""
    for n in (1, 10, 100, 1000):
        for how in ("single", "set"):
            for language in ("c", "rust"):
                subprocess.run(["dmesg", "--clear"], check=True)
                with module("samples/funccount", "functions=synchronize_rcu"):
                    with module(f"bench/bench_many_{language}", f"n={n}", f"set={how == 'set':d}"):
                        pass
                log = subprocess.run(["dmesg"], check=True, stdout=subprocess.PIPE,
                                     text=True).stdout
                seen = re.findall(r"\b(attach|detach|bytes) (\d+)$", log, re.M)
                seen = {what: int(value) for what, value in seen}
                waits = int(re.search(r"(\d+) synchronize_rcu", log)[1])
                for what in ("attach", "detach"):
                    print(f"{what}_{n}_{how} {language} {seen[what] / n:.0f}", flush=True)
                print(f"grace_periods_{n}_{how} {language} {waits}", flush=True)
                if (n, how) == (1, "single"):
                    print(f"bytes_of_a_probe {language} {seen['bytes']}", flush=True)


def entry(language, handler, pattern):
    return module(f"bench/bench_entry_{language}", f"kind={handler}",
                  *([f"pattern={pattern}"] if pattern else []))


def entries(tell, wanted):
    """What a hit of an entry probe costs, and what it adds to a kprobe at the same
    function."""
    for row, handler, pattern, file in ENTRIES:
        if wanted and row not in wanted:
            continue
        for language in ("c", "rust"):
            with entry(language, handler, pattern):
                tell(row, language, file)
    if wanted and "entry_beside_kprobe" not in wanted:
        return
    for language in ("c", "rust"):
        with module("bench/bench_c", "kind=kprobe_counting"):
            with entry(language, "percpu", None):
                tell("entry_beside_kprobe", language)


def keys(tell):
    """Counts by key: of a key that is new, and of so many keys that are not."""
    for language in ("c", "rust"):
        with entry(language, "by_argument", None):
            for n in (10, 1000, CALLS):
                (DEBUG / "bench/n_keys").write_text(str(n))
                if n == CALLS:
                    tell("entry_new_key", language, "keys", runs=1)
                tell(f"entry_by_key_{n}", language, "keys")


def attach_entries():
    """Attaching to many functions, and detaching. To C, an fprobe is the peer, too."""
    for row, pattern in (("vfs", "vfs_*"), ("all", "*")):
        for peer, language, handler in (("c", "c", "percpu"), ("fprobe", "c", "fprobe"),
                                        ("rust", "rust", "percpu")):
            subprocess.run(["dmesg", "--clear"], check=True)
            with entry(language, handler, pattern):
                pass
            log = subprocess.run(["dmesg"], check=True, stdout=subprocess.PIPE, text=True).stdout
            for what, ns in re.findall(r"\b(attach|detach) (\d+)$", log, re.M):
                print(f"{what}_entry_{row} {peer} {ns}", flush=True)


def scale(shared):
    """Calls from several CPUs concurrently: the cost of a hit on each of them."""
    file = DEBUG / "bench/scale"
    with target():
        for cpus in (1, 2, 4, 8):
            file.write_text(str(cpus))
            by = cpus if shared else 1
            bare = per_call("scale") / by
            for kind in ("counting", "percpu"):
                for language in ("c", "rust"):
                    with module(f"bench/bench_{language}", f"kind=kprobe_{kind}"):
                        cost = per_call("scale") / by - bare
                    print(f"scale_{kind}_{cpus} {language} {cost:.1f}", flush=True)


def main():
    inside, wanted = sys.argv[2], sys.argv[3:]
    if wanted[:1] == ["scale"]:
        scale(wanted[1] == "1")
        return

    def tell(row, name, file="call", runs=4):
        print(f"{row} {name} {per_call(file, runs) - bare[file]:.1f}", flush=True)

    with target():
        bare = {file: per_call(file) for file in ("call", "each", "inside", "keys", "kmalloc")}
        for file, cost in bare.items():
            print(f"bare {file} {cost:.1f}", flush=True)
        if not wanted or "events" in wanted:
            events(tell)
        for row, file in TWINS:
            if wanted and row not in wanted:
                continue
            for language in ("c", "rust"):
                with module(f"bench/bench_{language}", f"kind={row}", f"inside={inside}"):
                    settle(row)
                    tell(row, language, file)
        entries(tell, wanted)
        if not wanted or "keys" in wanted:
            keys(tell)
        if not wanted or "attach_entries" in wanted:
            attach_entries()
        if wanted:
            return
        many()
        for row in FLOORS:
            with module("bench/bench_c", f"kind={row}"):
                tell(row, "c")
        for row, definition in (("module_p", "p,bench_call"), ("module_r", "r,bench_call")):
            with module("rust_kprobe", f"probes={definition}"):
                tell(row, "rust")
        with tracefs_event():
            tell("kprobe_counting", "tracefs")
        if not shutil.which("bpftrace"):
            print("# bpftrace is not installed: its rows are left out")
            return
        for row, name, program in BPFTRACE:
            with bpftrace(program):
                tell(row, name)


if __name__ == "__main__":
    CALLS = int(sys.argv[1])
    os.chdir(ROOT)
    main()
