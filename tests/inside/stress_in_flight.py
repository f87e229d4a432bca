# SPDX-License-Identifier: GPL-2.0
"""Calls that are in flight when a return probe comes, goes or runs dry."""
import os
import signal
import time

from device import FOLLOWED, HITS, MISSED, RETURNS, SLEEP, WRONG, Device
from form import SECONDS
from kmod import equal


def sleepers(device, n, ms):
    """Processes that each call the sleeping function once; their pids."""
    pids = []
    for _ in range(n):
        pid = os.fork()
        if pid == 0:
            try:
                device.sleep(ms)
            finally:
                os._exit(0)
        pids.append(pid)
    return pids


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen within a minute")
        time.sleep(0.01)


def reap(pids):
    for pid in pids:
        os.waitpid(pid, 0)


def test_more_calls_in_flight_than_a_return_probe_follows():
    rounds = 0
    end = time.monotonic() + SECONDS
    with Device() as device:
        probe = device.add(FOLLOWED, "stress:stress_sleep", max_active=4)
        before = device.counted(SLEEP)
        while time.monotonic() < end or rounds < 2:
            rounds += 1
            so_far = device.counted(SLEEP)
            pids = sleepers(device, 12, 10_000)
            wait_for(lambda: device.counted(SLEEP) == so_far + 12)
            # All of them sleep in there now; some are killed, the others woken by that, too.
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            reap(pids)
            calls = device.counted(SLEEP) - before
            equal((probe.ask(HITS), probe.ask(MISSED)), (4 * rounds, 8 * rounds))
            equal(calls, 12 * rounds)
            equal((probe.ask(RETURNS), probe.ask(WRONG)), (4 * rounds, 0))
        probe.drop()
    return f"{rounds} rounds of 12 callers, 4 followed, 8 missed, all killed in flight"


def test_a_return_probe_is_dropped_while_calls_are_in_flight():
    rounds = 0
    end = time.monotonic() + SECONDS
    with Device() as device:
        while time.monotonic() < end or rounds < 2:
            rounds += 1
            probe = device.add(FOLLOWED, "stress:stress_sleep", max_active=32)
            so_far = device.counted(SLEEP)
            pids = sleepers(device, 8, 10_000)
            wait_for(lambda: device.counted(SLEEP) == so_far + 8)
            equal((probe.ask(HITS), probe.ask(RETURNS)), (8, 0))
            probe.drop()
            # Half of them return through what the probe has left behind; the
            # others while another probe is there.
            for pid in pids[:4]:
                os.kill(pid, signal.SIGKILL)
            reap(pids[:4])
            probe = device.add(FOLLOWED, "stress:stress_sleep", max_active=32)
            for pid in pids[4:]:
                os.kill(pid, signal.SIGKILL)
            reap(pids[4:])
            equal((probe.ask(HITS), probe.ask(RETURNS)), (0, 0))
            probe.drop()
    return f"{rounds} rounds, {8 * rounds} calls returned without it"


def test_calls_that_never_return_do_not_use_a_probe_up():
    """Tasks that end in the probed function give back what followed them."""
    ends = 60
    with Device() as device:
        probe = device.add(FOLLOWED, "do_exit", max_active=4)
        for _ in range(ends):
            reap(sleepers(device, 1, 0))
            # The task gives it back when it is freed, a moment later.
            time.sleep(0.02)
        hits, missed = probe.ask(HITS), probe.ask(MISSED)
        if hits + missed < ends or missed > hits:
            raise AssertionError(f"{hits} hits, {missed} missed of {ends} and more")
        equal(probe.ask(RETURNS), 0)
        probe.drop()
    return f"{hits} hits, {missed} missed with room for 4"
