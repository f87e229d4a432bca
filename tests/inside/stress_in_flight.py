# SPDX-License-Identifier: GPL-2.0
"""Calls in flight when a return probe is registered or dropped, or has no instance left."""
import os
import signal
import time

from device import (FOLLOWED, HITS, IO_SLEEP, MISSED, RETURNS, SLEEP, WRONG, Device)
from kmod import check, equal, until
from stress_form import SECONDS


def sleepers(device, n, ms=10_000):
    """Starts processes that each call the sleeping function; returns their PIDs."""
    pids = []
    wanted = device.counted(SLEEP) + n
    for _ in range(n):
        pids.append(os.fork())
        if pids[-1] == 0:
            try:
                device.ioctl(IO_SLEEP, ms)
            finally:
                os._exit(0)
    until(lambda: device.counted(SLEEP) >= wanted)
    return pids


def kill(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


def rounds_of(test):
    """Runs it with a device for SECONDS, but at least twice; returns how often."""
    rounds = 0
    end = time.monotonic() + SECONDS
    with Device() as device:
        while time.monotonic() < end or rounds < 2:
            test(device)
            rounds += 1
    return rounds


def test_calls_in_flight_beyond_max_active_are_missed():
    def test(device):
        if not held:
            held.append(device.add(FOLLOWED, "stress:stress_sleep", max_active=4))
        before = held[0].ask(HITS, MISSED, RETURNS), device.counted(SLEEP)
        kill(sleepers(device, 12))
        (hits, missed, returns), calls = before
        equal(device.counted(SLEEP), calls + 12)
        equal(held[0].ask(HITS, MISSED, RETURNS, WRONG), (hits + 4, missed + 8, returns + 4, 0))

    held = []
    return f"{rounds_of(test)} rounds of 12 callers, 4 followed, 8 missed, all killed in flight"


def test_a_return_probe_is_dropped_while_calls_are_in_flight():
    def test(device):
        probe = device.add(FOLLOWED, "stress:stress_sleep", max_active=32)
        pids = sleepers(device, 8)
        equal(probe.ask(HITS, RETURNS), (8, 0))
        probe.drop()
        # Half of the calls return after the drop, the others after another probe is registered.
        kill(pids[:4])
        probe = device.add(FOLLOWED, "stress:stress_sleep", max_active=32)
        kill(pids[4:])
        equal(probe.ask(HITS, RETURNS), (0, 0))
        probe.drop()

    rounds = rounds_of(test)
    return f"{rounds} rounds, {8 * rounds} calls returned without it"


def test_calls_that_never_return_do_not_exhaust_a_return_probe():
    """The instances of tasks that exit in the probed function are reused."""
    ends = 60
    with Device() as device:
        probe = device.add(FOLLOWED, "do_exit", max_active=4)
        for _ in range(ends):
            for pid in sleepers(device, 1, 0):
                os.waitpid(pid, 0)
            # The instance is returned when the task is freed, a moment later.
            time.sleep(0.02)
        hits, missed, returns = probe.ask(HITS, MISSED, RETURNS)
        check(hits + missed >= ends and missed <= hits,
              f"{hits} hits, {missed} missed of {ends} and more")
        equal(returns, 0)
        probe.drop()
    return f"{hits} hits, {missed} missed with max_active 4"
