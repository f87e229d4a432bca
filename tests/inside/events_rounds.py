# SPDX-License-Identifier: GPL-2.0
"""Thousands of listeners, loads and records."""
import os
import re
import select
import shutil
import sys
import threading
import time
from contextlib import nullcontext

from kmod import TRACING, Threads, check, equal, insmod, outcome, read, rmmod, write
from listening import (ALL, HAS_KMEMLEAK, armed, call, instance, ko, listen_by_perf, traced,
                       with_module)

# The debug kernel is some thirty times slower.
LONG = not HAS_KMEMLEAK or "--long" in sys.argv
ROUNDS, EVENTS = (1000, 1000000) if LONG else (200, 100000)
SECONDS = 400
LISTENERS = ("enable", "instance", "trigger", "perf")


def test_listeners_change_while_the_module_is_loaded_and_unloaded():
    lock = threading.Lock() if HAS_KMEMLEAK else nullcontext()

    def trigger():
        with lock:
            ALL.trigger("number", "stacktrace if value == 1")
            ALL.trigger("number", "!stacktrace if value == 1")

    def enable(*listeners):
        for on in True, False:
            for of, event in listeners:
                of.set(event, on)

    def unload():
        with lock:
            return outcome(rmmod, "events") == "EAGAIN"

    loads = busy = 0
    # Errors do not count: the module may be unloaded, or the event removed.
    with instance("rounds") as other, Threads(OSError) as loops:
        loops.start(enable, (ALL, "number"), name="enable")
        loops.start(enable, (other, "number"), name="instance")
        loops.start(enable, (ALL, "entered"), (other, "both"), name="entry")
        loops.start(trigger, name="trigger")
        if shutil.which("perf"):
            loops.start(listen_by_perf, "number", name="perf")
        loops.start(lambda: (call("number 5 100"), call("entered 5 100")), name="call")
        loops.start(lambda: (read(TRACING / "trace"), read(ALL["number"] / "format")), name="read")
        end = time.monotonic() + SECONDS
        while loops.count(*LISTENERS) < ROUNDS:
            check(time.monotonic() < end, loops.summary())
            insmod(ko("events"))
            loads += 1
            time.sleep(0.02 * (loads % 8))
            while unload():
                busy += 1
                time.sleep(0.01)
    equal(armed("events_number") + traced(), [])
    check(all(loops.rounds.values()), loops.summary())
    return f"{loads} loads, {busy} refused unloads, {loops.summary()}"


def kept(folder):
    """The records that an instance's buffers hold, have overwritten, and have dropped."""
    text = "".join(read(cpu / "stats") for cpu in (folder / "per_cpu").iterdir())
    return tuple(sum(map(int, re.findall(rf"^{name}: (\d+)$", text, re.M))) for name in (
        "entries", "overrun", "dropped events"))


@with_module
def test_a_listener_misses_nothing_while_others_change():
    """Other listeners come and go, before and after it in the list."""
    def exchange():
        for on in True, False:
            first.set("number", on)
            last.set("number", not on)

    def perf():
        if shutil.which("perf"):
            listen_by_perf("number")
        else:
            time.sleep(0.1)

    with instance("first") as first, instance("steady") as steady, instance("last") as last:
        last.set("number")
        steady.set("number")
        called = 0
        with Threads() as threads:
            threads.start(exchange, name="exchange")
            threads.start(perf, name="perf")
            while called < 200000 or threads.count("exchange") < 50 and not threads.errors:
                call(f"number {called} 1000")
                called += 1000
        entries, overrun, dropped = kept(steady.folder)
        equal((entries + overrun, dropped), (called, 0))
    return f"{called} calls, {threads.count()} rounds"


@with_module
def test_a_stream_reports_each_lost_record():
    with instance("stream") as stream:
        write(stream.folder / "buffer_size_kb", 64)
        stream.set("number")
        fd = os.open(stream.folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for first in range(0, EVENTS, 10000):
                    call(f"number {first} 10000")
                status = 0
            finally:
                os._exit(status)
        seen = lost = 0
        rest = b""
        ended = False
        while True:
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                if ended:
                    break
                ended = os.waitpid(child, os.WNOHANG)[0] == child
                if not ended:
                    select.select([fd], [], [], 0.05)
                continue
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                lost_events = re.search(rb"\[LOST (\d+) EVENTS\]", line)
                check(lost_events or b"number: value=" in line, line)
                lost += int(lost_events[1]) if lost_events else 0
                seen += not lost_events
        os.close(fd)
        stream.set("number", False)
    equal(seen + lost, EVENTS, f"{seen} read, {lost} lost")
    return f"{seen} read, {lost} lost"
