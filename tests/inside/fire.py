# SPDX-License-Identifier: GPL-2.0
"""Calls that go on in threads, and probes that must have seen each of them."""
import contextlib
import errno
import os
import threading

from device import (AROUND, BEFORE, EXACT, FOLLOWED, HITS, INNER, IRQ, MISSED, RETURNS, SLEEP,
                    SOFTIRQ, TARGET, USER, WRONG)
from kmod import equal

CPUS = os.cpu_count()
ALL_KINDS = ((BEFORE, False), (BEFORE, True), (FOLLOWED, False))


def inside(device, function):
    """A place inside the function that the kernel takes: where an instruction begins."""
    for offset in range(8, 64):
        try:
            device.add(BEFORE, f"{function}+{offset}").drop()
            return f"{function}+{offset}"
        except OSError as error:
            if error.errno not in (errno.EILSEQ, errno.EINVAL):
                raise
    raise AssertionError(f"no place inside {function}")


class Threads:
    """Threads that go on until the `with` block ends. What one of them raises,
    the block raises."""

    def __init__(self):
        self.stopped = threading.Event()
        self.threads, self.errors = [], []

    def start(self, function, *args):
        def run():
            try:
                while not self.stopped.is_set():
                    function(*args)
            except Exception as error:
                self.errors.append(error)
                self.stopped.set()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


@contextlib.contextmanager
def fire(device, *which):
    """Every CPU calls these functions while the block runs."""
    with Threads() as threads:
        for target in which:
            for _ in range(CPUS):
                threads.start(device.call, target, 500)
        yield threads


@contextlib.contextmanager
def exact(device, **kinds):
    """Probes on functions that stay while the block runs: {function: kinds}.

    They have seen each call when it ends, whatever came and went meanwhile.
    """
    numbers = {"target": TARGET, "exact": EXACT, "inner": INNER, "irq": IRQ,
               "softirq": SOFTIRQ, "user": USER, "sleep": SLEEP}
    held = []
    for name, wanted in kinds.items():
        function = f"stress:stress_{name}"
        place = inside(device, function) if any(inner for _, inner in wanted) else None
        for kind, inner in wanted:
            held.append((name, kind, inner,
                         device.add(kind, place if inner else function, max_active=64)))
    before = {name: device.counted(numbers[name]) for name in kinds}
    # What was called between the registration and here; there is nobody yet.
    started = [probe.seen() for *_, probe in held]
    figures = {}
    yield figures
    calls = {name: device.counted(numbers[name]) - before[name] for name in kinds}
    figures["calls"] = sum(calls.values())
    figures["missed"] = 0
    for (name, kind, inner, probe), start in zip(held, started):
        what = f"kind {kind}{' inside' if inner else ''} on {name}"
        equal(probe.seen() - start, calls[name], what)
        figures["missed"] += probe.ask(MISSED)
        if kind == FOLLOWED:
            equal(probe.ask(RETURNS), probe.ask(HITS), what + ": returns")
            equal(probe.ask(WRONG), 0, what + ": wrong data")
        elif kind == AROUND:
            equal(probe.ask(RETURNS), probe.ask(HITS), what + ": after")
        probe.drop()


def tell(figures):
    return f"{figures['calls']} calls = hits + missed, {figures['missed']} of them missed"
