# SPDX-License-Identifier: GPL-2.0
"""Entry probes come and go, on one function and on all of them, while CPUs call these."""
import time

import arch
from device import (AT, BEFORE, ENTRY, ENTRY_EXCLUSIVE, ENTRY_NESTED, ENTRY_SET, EXACT, FAULTS,
                    FOLLOWED, HITS, INNER, IRQ, MATCHING, MISSED, NESTED, RETURNS, SOFTIRQ, TARGET,
                    TWO_ENTRIES, VICTIM, WRONG, Device, call_victim, come_and_go, drop, exact, fire,
                    held_late, stress, toggled, waits_for_a_cpu)
from kmod import (Skip, Threads, check, equal, function_tracer, insmod, kprobe_list, outcome, read,
                  refused, rmmod, traced, write)
from stress_everything import workload
from stress_form import ROUNDS, SECONDS

PLACES = [AT[which] for which in (TARGET, EXACT, IRQ)]


def test_entry_probes_are_registered_and_dropped_while_their_functions_are_called():
    with Device() as device, exact(device, target=TWO_ENTRIES, exact=TWO_ENTRIES, irq=TWO_ENTRIES,
                                   softirq=TWO_ENTRIES) as figures:
        with fire(device, TARGET, EXACT, IRQ, SOFTIRQ) as threads:
            come_and_go(threads, (ENTRY, PLACES[0]), (ENTRY, PLACES[2]), (ENTRY_SET, *PLACES),
                        (MATCHING, "stress_*,vfs_*"))
            threads.stopped.wait(SECONDS)
    return f"{3 * threads.count('churn')} registered and dropped, {figures}"


def test_several_threads_enable_and_disable_entry_probes():
    with Device() as device, exact(device, target=TWO_ENTRIES) as figures:
        times = toggled(device, SECONDS, *3 * [(ENTRY, PLACES[0])])
    return f"{times} times, {figures}"


def test_calls_of_probed_functions_in_an_entry_handler_are_missed():
    with Device() as device, \
            exact(device, target=TWO_ENTRIES, inner=TWO_ENTRIES, irq=TWO_ENTRIES) as figures:
        outer = device.add(ENTRY_NESTED, PLACES[0])
        with fire(device, TARGET, INNER, IRQ) as threads:
            threads.stopped.wait(SECONDS)
        outer.drop()
    check(figures.missed, "nothing was missed")
    return figures


def test_entry_probes_on_all_functions_are_registered_and_dropped_under_load():
    """All functions get entry probes again and again, during a workload."""
    rounds = attached = hits = 0
    end = time.monotonic() + SECONDS
    with Threads() as working, Device() as device, \
            exact(device, target=TWO_ENTRIES, irq=TWO_ENTRIES) as figures:
        working.start(workload)
        with fire(device, TARGET, IRQ):
            while time.monotonic() < end or rounds < min(ROUNDS // 10, 2):
                everything = device.add(MATCHING, "*")
                attached = everything.ask(FAULTS)
                device.call(EXACT, 1000)
                equal(everything.ask(RETURNS, MISSED), (1000, 0))
                hits += everything.ask(HITS)
                everything.drop()
                rounds += 1
    equal(traced(), [])
    check(attached >= 5000 and hits >= 2000 * rounds, f"{hits} hits of {attached} functions")
    return f"{rounds} rounds, {attached} functions, {hits} hits, {figures}"


def test_a_pattern_matches_a_module_during_its_unload():
    """The module's notifiers have been called, but ftrace still knows its functions."""
    with Device() as device:
        # The first entry probe in a module would wait for the notifiers.
        other = device.add(ENTRY, PLACES[0])
        with stress("stress_victim"), stress("stress_late"), \
                held_late(lambda: rmmod("stress_victim")):
            # Other modules may come and go meanwhile. This one's init fails.
            for _ in range(40):
                refused("ENOENT", insmod, "tests/stress/stress_tracers.ko")
            refused("EINVAL", device.add, MATCHING, "stress_victim")
            held = device.add(MATCHING, "stress_victim,stress_exact")
            equal(held.ask(FAULTS, WRONG), (2, 1), "functions, and those gone")
        # A set does not follow another module at the same address.
        with stress("stress_victim"):
            again = device.add(MATCHING, "stress_victim,stress_exact")
            equal(again.ask(FAULTS, WRONG), (2, 0), "after the next load")
            call_victim(20)
            device.call(EXACT, 10)
            equal((held.ask(HITS, MISSED), again.ask(HITS)), ((10, 0), 30))
            drop(again, held)
            equal(traced(), ["stress_target"])
        device.call(TARGET, 10)
        equal(other.seen(), 10)
    equal(traced(), [])


def test_entry_probes_are_registered_in_a_module_during_its_load():
    # Notifiers of the same priority are called in the order of registration.
    rmmod("stress")
    with stress("stress_late", "coming=1"):
        insmod("tests/stress/stress.ko")
        with Device() as device:
            device.add(ENTRY, PLACES[0])
            with held_late(lambda: insmod("tests/stress/stress_victim.ko")):
                held = [device.add(ENTRY, VICTIM), device.add(MATCHING, "stress_victim")]
            call_victim(20)
            seen = [probe.ask(HITS) for probe in held]
            gone = held[1].ask(WRONG)
            rmmod("stress_victim")
            equal((seen, gone), ([20, 20], 0), "hits, and functions that are gone")
            equal(held[1].ask(WRONG), 1, "functions that are gone after the unload")
    equal(traced(), [])


def test_entry_probes_are_gone_when_their_module_is_unloaded():
    rounds = min(ROUNDS // 5, 100)
    for n in range(rounds):
        with Device() as device:
            with stress("stress_victim"):
                held = [device.add(ENTRY, VICTIM), device.add(MATCHING, "stress_victim")]
                # The debug kernel needs minutes to attach to all functions.
                if n % 10 == 1:
                    device.add(MATCHING, "*")
                other = device.add(ENTRY, PLACES[1])
                call_victim(20)
                equal([probe.ask(HITS) for probe in held], [20, 20])
            held[0].enable(False)
            refused("EINVAL", held[0].enable, True)
            with stress("stress_victim"):
                again = device.add(ENTRY, VICTIM) if n % 2 else None
                call_victim(30)
                if again:
                    equal(again.seen(), 30)
            equal([probe.ask(HITS) for probe in held], [20, 20])
            device.call(EXACT, 10)
            equal(other.seen(), 10)
    return f"{rounds} rounds"


def test_dropping_a_probe_waits_for_a_cpu_that_goes_offline():
    with Device() as device, stress("stress_late", "offline=1"):
        # This probe keeps ftrace's ops registered, so that only the library waits.
        device.add(ENTRY, PLACES[0])
        for kind in ENTRY, BEFORE, FOLLOWED:
            waits_for_a_cpu(device.add(kind, PLACES[1]).drop)
    equal(traced(), [])


def test_ftrace_cannot_be_disabled_unnoticed():
    switch = "/proc/sys/kernel/ftrace_enabled"

    def hit():
        held = device.add(ENTRY, PLACES[1])
        how = outcome(write, switch, 0)
        device.call(EXACT, 10)
        equal(held.seen(), 10)
        held.drop()
        return how

    with Device() as device:
        how = hit()
        if how == "EOPNOTSUPP":
            return "this kernel refuses ftrace_enabled=0 (EOPNOTSUPP)"
        equal(how, "EBUSY")
        write(switch, 0)
        try:
            refused("EBUSY", device.add, ENTRY, PLACES[1])
        finally:
            write(switch, 1)
        hit()
    return "EBUSY"


def test_entry_probes_are_hit_beside_other_tracers():
    with Device() as device:
        held = device.add(ENTRY, PLACES[1])
        kprobe = device.add(BEFORE, PLACES[1])
        with function_tracer("stress_exact"):
            device.call(EXACT, 100)
        equal((held.seen(), kprobe.seen()), (100, 100))
        kprobe.drop()
        device.call(EXACT, 100)
        equal(held.seen(), 200)
    equal(kprobe_list(), [])
    return "200 calls"


def test_calls_within_two_other_tracers_are_neither_hits_nor_missed():
    if arch.ENTRY != "ftrace":
        raise Skip("kprobes do not use ftrace on this architecture")
    times = 10_000
    with Device() as device:
        device.add(NESTED, PLACES[0])
        held = device.add(ENTRY_NESTED, AT[INNER])

        def called(hits, missed, what=""):
            before = device.counted(INNER), *held.ask(HITS, MISSED)
            device.call(TARGET, times)
            after = device.counted(INNER), *held.ask(HITS, MISSED)
            equal(tuple(b - a for a, b in zip(before, after)), (2 * times, hits, missed),
                  f"calls, hits, missed {what}")

        called(times, times)
        with function_tracer("stress_target", "stress_inner"):
            called(times, 0, "beside a tracer")
        called(times, times, "afterwards")
    return f"{times} of {2 * times} calls"


def test_an_exclusive_entry_probe_refuses_a_function_with_another_tracer():
    def add_exclusive(wanted, what):
        equal(outcome(lambda: device.add(ENTRY_EXCLUSIVE, PLACES[1]).drop()), wanted, what)

    for ours in False, True:
        with Device() as device:
            device.add(ENTRY, PLACES[1]).enable(ours)
            with function_tracer("stress_exact"):
                add_exclusive("EEXIST", "beside the function tracer")
            # On arm64, this depends on the kernel's configuration, and kprobes do not use ftrace.
            if arch.ENTRY == "ftrace":
                add_exclusive("", "without another tracer")
                with function_tracer("stress_target"):
                    add_exclusive("", "beside a tracer of another function")
                kprobe = device.add(BEFORE, PLACES[1])
                add_exclusive("EEXIST", "beside a kprobe")
                kprobe.drop()
                add_exclusive("", "after a kprobe")


def test_entry_probes_are_hit_beside_an_fprobe_a_live_patch_and_a_direct_call():
    """In both orders. A live patch continues in another function; BPF's fentry is a direct call."""
    kinds = ["fprobe", "patch"] + ["direct"] * (arch.ENTRY == "ftrace")

    def call(held, hits):
        device.call(EXACT, 100)
        equal(held.seen(), hits, kind)

    def other_tracer():
        return stress("stress_tracers", f"kind={kind} symbol={PLACES[1]}")

    def its_hits():
        return int(read("/sys/module/stress_tracers/parameters/hits"))

    for kind in kinds:
        with Device() as device:
            own = device.counted(EXACT)
            held = device.add(ENTRY, PLACES[1])
            with other_tracer():
                call(held, 100)
                # One entry probe is dropped while the other one stays.
                device.add(ENTRY, PLACES[0]).drop()
                call(held, 200)
                equal(its_hits(), 200, kind)
            call(held, 300)
            held.drop()
            with other_tracer():
                held = device.add(ENTRY, PLACES[1])
                call(held, 100)
                held.drop()
                device.call(EXACT, 100)
                equal(its_hits(), 200, kind)
            # A patched function itself does not run.
            equal(device.counted(EXACT) - own, 100 if kind == "patch" else 500, kind)
    return ", ".join(kinds)
