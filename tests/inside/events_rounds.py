# SPDX-License-Identifier: GPL-2.0
"""Listeners, modules and records by the thousand."""
import os
import re
import select
import shutil
import sys
import threading
import time
from contextlib import nullcontext

import kmod
from kmod import equal
from listening import (ALL, FOLDER, LEAKS_ARE_SEEN, Loops, TRACING, armed, call,
                       instance, listen_by_perf, put, traced, with_module)


# The debug kernel is some thirty times slower.
LONG = not LEAKS_ARE_SEEN.exists() or "--long" in sys.argv
ROUNDS, EVENTS = (1000, 1000000) if LONG else (200, 100000)
SECONDS = 400
LISTENERS = ("enable", "instance", "trigger", "perf")


def test_rounds_while_the_module_comes_and_goes():
    """Four kinds of listener, and calls all the time."""
    alone = threading.Lock() if LEAKS_ARE_SEEN.exists() else nullcontext()
    loops = Loops()

    def trigger():
        with alone:
            put(number / "trigger", "stacktrace if value == 1")
            put(number / "trigger", "!stacktrace if value == 1")

    with instance("rounds") as other:
        number = other["number"]
        loops.add("enable", lambda: ALL.set("number"), lambda: ALL.set("number", False))
        loops.add("instance", lambda: other.set("number"), lambda: other.set("number", False))
        loops.add("entry", lambda: ALL.set("entered"), lambda: other.set("both"),
                  lambda: ALL.set("entered", False), lambda: other.set("both", False))
        loops.add("trigger", trigger)
        if shutil.which("perf"):
            loops.add("perf", lambda: listen_by_perf("number"))
        loops.add("call", lambda: call("number 5 100"), lambda: call("entered 5 100"))
        loops.add("read", lambda: (TRACING / "trace").read_bytes(), (ALL["number"] / "format").read_text)
        loads = busy = 0
        end = time.monotonic() + SECONDS
        with loops:
            while sum(loops.rounds.get(name, 0) for name in LISTENERS) < ROUNDS:
                if time.monotonic() > end:
                    raise AssertionError(loops.rounds)
                kmod.insmod(FOLDER / "events.ko")
                loads += 1
                time.sleep(0.02 * (loads % 8))
                while True:
                    try:
                        with alone:
                            kmod.rmmod("events")
                        break
                    except BlockingIOError:
                        busy += 1
                        time.sleep(0.01)
    equal(armed("events_number") + traced(), [])
    return f"{loads} loads, {busy} times in use, {loops.told()}"


def kept(folder):
    """How many records the buffer of an instance has, has overwritten, and has not taken."""
    text = "".join((cpu / "stats").read_text() for cpu in (folder / "per_cpu").iterdir())
    return tuple(sum(map(int, re.findall(rf"^{name}: (\d+)$", text, re.M))) for name in (
        "entries", "overrun", "dropped events"))


@with_module
def test_who_listens_on_misses_nothing():
    """Others come before it and behind it, and go."""
    stop = threading.Event()
    rounds = [0, 0]

    def comes_and_goes(on, off, n):
        while not stop.is_set():
            on()
            off()
            rounds[n] += 1

    def perf():
        if shutil.which("perf"):
            listen_by_perf("number")
        else:
            time.sleep(0.1)

    with instance("first") as first, instance("steady") as steady, instance("last") as last:
        last.set("number")
        steady.set("number")
        threads = [
            threading.Thread(target=comes_and_goes, args=(
                lambda: (first.set("number"), last.set("number", False)),
                lambda: (first.set("number", False), last.set("number")), 0)),
            threading.Thread(target=comes_and_goes, args=(perf, perf, 1)),
        ]
        for thread in threads:
            thread.start()
        called = 0
        while called < 200000 or rounds[0] < 50:
            call(f"number {called} 1000")
            called += 1000
        stop.set()
        for thread in threads:
            thread.join()
        entries, overrun, dropped = kept(steady.folder)
        equal((entries + overrun, dropped), (called, 0))
    return f"{called} calls, {rounds[0] + rounds[1]} rounds"


@with_module
def test_a_stream_loses_nothing_untold():
    """A reader follows: read + lost = emitted."""
    with instance("stream") as stream:
        put(stream.folder / "buffer_size_kb", "64")
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
        read = lost = 0
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
                told = re.search(rb"\[LOST (\d+) EVENTS\]", line)
                if told:
                    lost += int(told[1])
                elif b"number: value=" in line:
                    read += 1
                else:
                    raise AssertionError(line)
        os.close(fd)
        stream.set("number", False)
    equal(read + lost, EVENTS, f"{read} read, {lost} lost")
    return f"{read} read, {lost} lost"
