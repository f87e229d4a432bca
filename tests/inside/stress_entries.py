# SPDX-License-Identifier: GPL-2.0
"""Entry probes come and go, on one function and on all of them, while what they are on
is called."""
import errno
import threading
import time
from contextlib import contextmanager

import arch
import kmod
from device import (BEFORE, ENTRY, ENTRY_ALONE, ENTRY_NESTED, ENTRY_SET, EXACT, FAULTS, FOLLOWED,
                    HITS, INNER, IRQ, MATCHING, MISSED, NESTED, RETURNS, SOFTIRQ, TARGET, WRONG, Device)
from fire import exact, fire, tell
from form import ROUNDS, SECONDS
from kmod import equal, kprobe_list
from late import cpu_held_offline, held_late, loaded
from stress_everything import workload

PLACES = ["stress:stress_target", "stress:stress_exact", "stress:stress_irq"]
TWO = ((ENTRY, False), (ENTRY, False))
FTRACE_ENABLED = "/proc/sys/kernel/ftrace_enabled"
TRACING = "/sys/kernel/tracing"


def victim(times):
    with open("/sys/module/stress_victim/parameters/call", "w", encoding="ascii") as call:
        call.write(str(times))


def test_entry_probes_come_and_go():
    rounds = []

    def churn(kind, *where):
        with Device() as mine:
            for _ in range(3):
                mine.add(kind, *where).drop()
        rounds.append(kind)

    with Device() as device, exact(device, target=TWO, exact=TWO, irq=TWO, softirq=TWO) as figures:
        with fire(device, TARGET, EXACT, IRQ, SOFTIRQ) as threads:
            threads.start(churn, ENTRY, PLACES[0])
            threads.start(churn, ENTRY, PLACES[2])
            threads.start(churn, ENTRY_SET, *PLACES)
            threads.start(churn, MATCHING, "stress_*,vfs_*")
            threads.stopped.wait(SECONDS)
    return f"{3 * len(rounds)} registered and dropped, {tell(figures)}"


def test_entry_probes_are_enabled_and_disabled():
    toggled = []

    def toggle(held, on):
        held.enable(on)
        toggled.append(on)

    with Device() as device, exact(device, target=TWO) as figures:
        several = [device.add(ENTRY, PLACES[0]) for _ in range(3)]
        with fire(device, TARGET) as threads:
            for held in several:
                threads.start(toggle, held, True)
                threads.start(toggle, held, False)
            threads.stopped.wait(SECONDS)
        for held in several:
            held.enable(True)
            before = held.seen()
            device.call(TARGET, 10)
            equal(held.seen(), before + 10, "after the last enable")
            held.enable(False)
            device.call(TARGET, 10)
            equal(held.seen(), before + 10, "after the last disable")
            held.drop()
    return f"{len(toggled)} times, {tell(figures)}"


def test_entry_handlers_call_what_is_probed():
    with Device() as device, exact(device, target=TWO, inner=TWO, irq=TWO) as figures:
        outer = device.add(ENTRY_NESTED, PLACES[0])
        with fire(device, TARGET, INNER, IRQ) as threads:
            threads.stopped.wait(SECONDS)
        outer.drop()
    if figures["missed"] == 0:
        raise AssertionError("nothing was missed")
    return tell(figures)


def test_all_functions_under_fire():
    """Attached and left again and again, while a machine does what it does."""
    rounds = attached = hits = 0
    stopped = threading.Event()
    worker = threading.Thread(target=workload, args=(stopped,))
    worker.start()
    try:
        end = time.monotonic() + SECONDS
        with Device() as device, exact(device, target=TWO, irq=TWO) as figures:
            with fire(device, TARGET, IRQ):
                while time.monotonic() < end or rounds < min(ROUNDS // 10, 2):
                    everything = device.add(MATCHING, "*")
                    attached = everything.ask(FAULTS)
                    device.call(EXACT, 1000)
                    equal((everything.ask(RETURNS), everything.ask(MISSED)), (1000, 0))
                    hits += everything.ask(HITS)
                    everything.drop()
                    rounds += 1
    finally:
        stopped.set()
        worker.join()
    equal(traced(), [])
    if attached < 5000 or hits < 2000 * rounds:
        raise AssertionError(f"{hits} hits of {attached} functions")
    return f"{rounds} rounds, {attached} functions, {hits} hits, {tell(figures)}"


def traced():
    """The functions that ftrace calls somebody in."""
    with open(f"{TRACING}/enabled_functions", encoding="ascii") as file:
        return [line.split()[0] for line in file]


def test_a_pattern_matches_a_module_that_is_unloaded():
    """Its notifiers have been called, and ftrace still knows its functions."""
    with Device() as device:
        # The first entry probe of a module would wait for the notifiers.
        other = device.add(ENTRY, PLACES[0])
        with loaded("stress_victim"), loaded("stress_late"), \
                held_late(lambda: kmod.rmmod("stress_victim")):
            # However many others come and go in between: this one's init fails.
            for _ in range(40):
                try:
                    kmod.insmod("tests/stress/stress_lockdep.ko")
                except OSError as error:
                    equal(error.errno, errno.EINVAL)
            try:
                device.add(MATCHING, "stress_victim")
            except OSError as error:
                equal(error.errno, errno.EINVAL)
            else:
                raise AssertionError("it was attached to a function that is being unloaded")
            held = device.add(MATCHING, "stress_victim,stress_exact")
            equal((held.ask(FAULTS), held.ask(WRONG)), (2, 1), "functions, and those gone")
        # Another module at that address is not taken for the first one.
        with loaded("stress_victim"):
            again = device.add(MATCHING, "stress_victim,stress_exact")
            equal((again.ask(FAULTS), again.ask(WRONG)), (2, 0), "after the next load")
            victim(20)
            device.call(EXACT, 10)
            equal((held.ask(HITS), held.ask(MISSED), again.ask(HITS)), (10, 0, 30))
            again.drop()
            held.drop()
            equal(traced(), ["stress_target"])
        device.call(TARGET, 10)
        equal(other.seen(), 10)
        other.drop()
    equal(traced(), [])


def test_entry_probes_in_a_module_that_is_loaded():
    """They are attached before the library is notified of it."""
    # Of notifiers of the same priority, the first one registered is called first.
    kmod.rmmod("stress")
    with loaded("stress_late", b"coming=1"):
        kmod.insmod("tests/stress/stress.ko")
        with Device() as device:
            other = device.add(ENTRY, PLACES[0])
            with held_late(lambda: kmod.insmod("tests/stress/stress_victim.ko")):
                held = [device.add(ENTRY, "stress_victim:stress_victim"),
                        device.add(MATCHING, "stress_victim")]
            victim(20)
            seen = [probe.ask(HITS) for probe in held]
            gone = held[1].ask(WRONG)
            kmod.rmmod("stress_victim")
            equal((seen, gone), ([20, 20], 0), "hits, and functions that are gone")
            equal(held[1].ask(WRONG), 1, "functions that are gone after the unload")
            for probe in (*held, other):
                probe.drop()
    equal(traced(), [])


def test_a_module_leaves_its_entry_probes():
    rounds = min(ROUNDS // 5, 100)
    with Device() as device:
        for n in range(rounds):
            kmod.insmod("tests/stress/stress_victim.ko")
            held = [device.add(ENTRY, "stress_victim:stress_victim"),
                    device.add(MATCHING, "stress_victim")]
            # A debug kernel needs minutes to attach to all.
            everything = [device.add(MATCHING, "*")] if n % 10 == 1 else []
            other = device.add(ENTRY, PLACES[1])
            victim(20)
            equal([probe.ask(HITS) for probe in held], [20, 20])
            kmod.rmmod("stress_victim")
            held[0].enable(False)
            try:
                held[0].enable(True)
            except OSError as error:
                equal(error.errno, errno.EINVAL)
            else:
                raise AssertionError("a probe that is gone was enabled")
            # The next one of that name may lie at the same address.
            kmod.insmod("tests/stress/stress_victim.ko")
            if n % 2:
                again = device.add(ENTRY, "stress_victim:stress_victim")
                victim(30)
                equal(again.seen(), 30)
                kmod.rmmod("stress_victim")
                again.drop()
            else:
                victim(30)
                kmod.rmmod("stress_victim")
            equal([probe.ask(HITS) for probe in held], [20, 20])
            device.call(EXACT, 10)
            equal(other.seen(), 10)
            for probe in (*held, *everything, other):
                probe.drop()
    return f"{rounds} rounds"


def test_drops_wait_for_a_cpu_that_goes_offline():
    """RCU ignores that CPU in its last steps, in which functions are probed."""
    def drop(held, dropped):
        held.drop()
        dropped.set()

    with Device() as device, loaded("stress_late", b"offline=1"):
        # It keeps ftrace's ops registered, so that only the library waits.
        other = device.add(ENTRY, PLACES[0])
        for kind in ENTRY, BEFORE, FOLLOWED:
            dropped = threading.Event()
            dropping = threading.Thread(target=drop, args=(device.add(kind, PLACES[1]), dropped))
            with cpu_held_offline():
                dropping.start()
                equal(dropped.wait(1), False, f"{kind} dropped while the CPU goes offline")
            dropping.join()
        other.drop()
    equal(traced(), [])


def test_ftrace_cannot_be_switched_off_silently():
    def switch(on):
        with open(FTRACE_ENABLED, "w", encoding="ascii") as file:
            file.write(str(on))

    def refused(function, *args):
        try:
            function(*args)
        except OSError as error:
            return error.errno
        return 0

    with Device() as device:
        held = device.add(ENTRY, PLACES[1])
        how = refused(switch, 0)
        device.call(EXACT, 10)
        equal(held.seen(), 10)
        held.drop()
        if how == errno.EOPNOTSUPP:
            return "it cannot be switched off at all here"
        equal(how, errno.EBUSY)
        switch(0)
        try:
            equal(refused(device.add, ENTRY, PLACES[1]), errno.EBUSY)
        finally:
            switch(1)
        held = device.add(ENTRY, PLACES[1])
        device.call(EXACT, 10)
        equal(held.seen(), 10)
    return "EBUSY"


@contextmanager
def function_tracer(function):
    """The function tracer of tracefs, at that function."""
    def write(file, text):
        with open(f"{TRACING}/{file}", "w", encoding="ascii") as out:
            out.write(text)

    write("set_ftrace_filter", function)
    write("current_tracer", "function")
    try:
        yield
    finally:
        write("current_tracer", "nop")
        write("set_ftrace_filter", "\n")


def test_entry_probes_beside_other_tracers():
    """A kprobe, and the function tracer of tracefs, at the same function."""
    with Device() as device:
        held = device.add(ENTRY, PLACES[1])
        kprobe = device.add(BEFORE, PLACES[1])
        with function_tracer("stress_exact"):
            device.call(EXACT, 100)
        equal((held.seen(), kprobe.seen()), (100, 100))
        kprobe.drop()
        device.call(EXACT, 100)
        equal(held.seen(), 200)
        held.drop()
    equal(kprobe_list(), [])
    return "200 calls"


def test_ftrace_leaves_out_calls_within_two_other_tracers():
    """They are neither hits nor missed, as the documentation says."""
    if arch.ENTRY != "ftrace":
        raise kmod.Skip("kprobes do not use ftrace here")
    times = 10_000
    with Device() as device:
        device.add(NESTED, PLACES[0])
        held = device.add(ENTRY_NESTED, "stress:stress_inner")

        def called():
            before = device.counted(INNER), held.ask(HITS), held.ask(MISSED)
            device.call(TARGET, times)
            after = device.counted(INNER), held.ask(HITS), held.ask(MISSED)
            return tuple(b - a for a, b in zip(before, after))

        equal(called(), (2 * times, times, times), "calls, hits, missed")
        with function_tracer("stress_target stress_inner"):
            equal(called(), (2 * times, times, 0), "calls, hits, missed beside a tracer")
        equal(called(), (2 * times, times, times), "calls, hits, missed afterwards")
    return f"{times} of {2 * times} calls"


def test_alone_refuses_a_function_with_another_tracer():
    def refused(device):
        try:
            device.add(ENTRY_ALONE, PLACES[1]).drop()
        except OSError as error:
            equal(error.errno, errno.EEXIST)
            return True
        return False

    # On arm64, that depends on the configuration of the kernel, and kprobes do not use ftrace.
    known = arch.ENTRY == "ftrace"
    with Device() as device:
        for ours in (False, True):
            held = device.add(ENTRY, PLACES[1])
            held.enable(ours)
            with function_tracer("stress_exact"):
                equal(refused(device), True, "beside the function tracer")
            if known:
                equal(refused(device), False, "without another tracer")
                with function_tracer("stress_target"):
                    equal(refused(device), False, "beside a tracer of another function")
                kprobe = device.add(BEFORE, PLACES[1])
                equal(refused(device), True, "beside a kprobe")
                kprobe.drop()
                equal(refused(device), False, "after a kprobe")
            held.drop()


def test_entry_probes_beside_an_fprobe_a_live_patch_and_a_direct_call():
    """Whoever comes first. A live patch goes on in another function; BPF's fentry is a
    direct call."""
    def beside(kind, check):
        kmod.insmod("tests/stress/stress_beside.ko",
                    f"kind={kind} symbol={PLACES[1]}".encode())
        try:
            check()
            with open("/sys/module/stress_beside/parameters/hits", encoding="ascii") as hits:
                return int(hits.read())
        finally:
            kmod.rmmod("stress_beside")

    kinds = ["fprobe", "patch"] + ["direct"] * (arch.ENTRY == "ftrace")
    with Device() as device:
        for kind in kinds:
            own = device.counted(EXACT)
            held = device.add(ENTRY, PLACES[1])

            def second():
                device.call(EXACT, 100)
                # It goes while the other stays.
                device.add(ENTRY, PLACES[0]).drop()
                device.call(EXACT, 100)

            def first():
                held = device.add(ENTRY, PLACES[1])
                device.call(EXACT, 100)
                equal(held.seen(), 100)
                held.drop()
                device.call(EXACT, 100)

            equal(beside(kind, second), 200, kind)
            equal(held.seen(), 200, kind)
            device.call(EXACT, 100)
            equal(held.seen(), 300, kind)
            held.drop()
            equal(beside(kind, first), 200, kind)
            # A patched function is not called itself.
            equal(device.counted(EXACT) - own, 100 if kind == "patch" else 500, kind)
    return ", ".join(kinds)
