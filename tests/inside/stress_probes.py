# SPDX-License-Identifier: GPL-2.0
"""Kprobes and return probes come and go, while programs, handlers and interrupts hit them."""
import contextlib
import ctypes
import itertools
import mmap
import re
import time
from pathlib import Path

from arch import LIBC, checked, inside
from device import (ALL_KINDS, AROUND, AT, BEFORE, COLLECT, COLLECT_ENTRY, EXACT, FAULTS, FOLLOWED,
                    HITS, INNER, IO_TIMERS, IO_USER, IRQ, NESTED, READER, RETURN_SET, SET,
                    SOFTIRQ, TARGET, VICTIM, WRONG, Device, call_victim, come_and_go, drop,
                    exact, fire, maps_add_up, refused_member, stress, toggled)
from kmod import (CPUS, Threads, check, ends, equal, insmod, kprobe_list, loaded, log, match,
                  match_lines, nothing_left, outcome, probes, refused, rmmod, unregistered, until,
                  write)
from stress_form import ROUNDS, SECONDS

WAITING = probes(f"pw:before {VICTIM}; r8w:after {VICTIM}")
KINDS = {"before": "p", "after": "r"}


def test_the_module_is_loaded_and_unloaded_while_its_targets_are_called():
    """Each round also calls another probed function 50 times."""
    names = "fire", "back", "exact", "return"
    definitions = probes("; ".join(f"{kind}:{name} {place}" for kind, name, place in zip(
        2 * ("p", "r64"), names, (*2 * [AT[TARGET]], *2 * [AT[EXACT]]))))
    missed = 0
    with Device() as device, log() as kmsg, fire(device, TARGET):
        for _ in range(ROUNDS):
            insmod("rust_kprobe.ko", definitions)
            device.call(EXACT, 50)
            rmmod("rust_kprobe")
            for end in match_lines(ends(kmsg), [unregistered(name) for name in names])[2:]:
                equal(int(end[1]) + int(end[2]), 50, end[0])
                missed += int(end[2])
    equal(kprobe_list(), [])
    return f"{ROUNDS} rounds, {ROUNDS * 50} calls, {missed} missed"


def test_probes_are_registered_and_dropped_while_their_function_is_called():
    places = [AT[which] for which in (TARGET, EXACT, IRQ)]
    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        with fire(device, TARGET) as threads:
            come_and_go(threads, *((kind, places[0]) for kind in (BEFORE, AROUND, FOLLOWED)),
                        (BEFORE, inside(places[0])), (SET, *places), (RETURN_SET, *places))
            threads.stopped.wait(SECONDS)
    equal(kprobe_list(), [])
    return f"{3 * threads.count('churn')} registered and dropped, {figures}"


def test_several_threads_enable_and_disable_probes():
    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        places = [(kind, AT[TARGET]) for kind in (BEFORE, AROUND, FOLLOWED)]
        times = toggled(device, SECONDS, *places, (BEFORE, inside(AT[TARGET])))
    return f"{times} times, {figures}"


def test_a_probe_is_dropped_while_other_threads_use_it():
    """One thread drops a probe that others toggle and query; they may get ENOENT."""
    gone = []

    def use(held):
        number = outcome(lambda: (held.enable(False), held.seen(), held.enable(True)))
        if number:
            equal(number, "ENOENT")
            gone.append(1)

    def exchange(held):
        check(outcome(held.drop) in ("", "ENOENT"), "the probe was not dropped")
        equal(held.device.add(BEFORE, AT[TARGET]).index, held.index)

    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        with Device() as shared, fire(device, TARGET) as threads:
            held = shared.add(BEFORE, AT[TARGET])
            for step in exchange, use, use, use:
                threads.start(step, held)
            threads.stopped.wait(SECONDS)
    return f"{len(gone)} uses while it was dropped, {figures}"


def test_kprobes_are_disabled_and_enabled_globally():
    """Probes that are registered or enabled while kprobes are off have hits once they are on."""
    switch = "/sys/kernel/debug/kprobes/enabled"
    place = AT[EXACT]
    # The device does not toggle sets.
    singles = [(BEFORE, place), (AROUND, place), (FOLLOWED, place), (BEFORE, inside(place)),
               (AROUND, inside(place))]
    kinds = [*singles, (SET, place), (RETURN_SET, place)]
    tried = 0

    def enable(held, on):
        for one in held:
            one.enable(on)

    def hits(calls, wanted, what):
        device.call(EXACT, calls)
        equal({one.seen() for one in held}, {wanted}, f"{group} {what}")

    with Device() as device:
        # One probe at a time, then all; registered, then enabled, while kprobes are off.
        for again, groups in (False, kinds), (True, singles):
            for group in [[kind] for kind in groups] + [groups]:
                if again:
                    held = [device.add(*kind) for kind in group]
                    enable(held, False)
                write(switch, 0)
                try:
                    if again:
                        enable(held, True)
                    else:
                        held = [device.add(*kind) for kind in group]
                    hits(5, 0, "while off")
                finally:
                    write(switch, 1)
                hits(7, 7, "when on again")
                if again:
                    enable(held, False)
                    hits(3, 7, "disabled")
                drop(*held)
                tried += 1
    equal(kprobe_list(), [])
    return f"{tried} times"


def test_a_probed_module_is_unloaded_and_loaded_again():
    rounds = max(ROUNDS // 10, 5)
    for n in range(rounds):
        with Device() as device, stress("stress_victim"), \
                loaded("rust_kprobe.ko", probes(f"p:before {VICTIM}; r:after {VICTIM}")) as kmsg:
            held = device.add(BEFORE, VICTIM)
            call_victim(20)
            equal(held.seen(), 20)
            rmmod("stress_victim")
            check(all("[GONE]" in line for line in kprobe_list()), kprobe_list())
            match_lines([line for line in kmsg.lines() if line.endswith("unloaded")],
                        [f"{name}: probed module unloaded" for name in ("before", "after")])
            # A gone probe counts as disabled, and cannot be enabled.
            held.enable(False)
            refused("EINVAL", held.enable, True)
            if n % 2:  # The next module with that name may have the same address.
                with stress("stress_victim"):
                    call_victim(20)
            equal(held.seen(), 20)
            held.drop()
            rmmod("rust_kprobe")
            match_lines(ends(kmsg), [unregistered(name, 20, 0) + ", gone"
                                     for name in ("before", "after")])
    equal(kprobe_list(), [])
    return f"{rounds} rounds"


def test_one_of_two_modules_on_a_function_is_unloaded():
    rounds = 0
    end = time.monotonic() + SECONDS
    other = probes(f"p:a {AT[TARGET]}; r64:b {AT[TARGET]}")
    with Device() as device, exact(device, target=ALL_KINDS) as figures, fire(device, TARGET):
        while time.monotonic() < end or rounds < 2:
            insmod("rust_kprobe.ko", other)
            rmmod("rust_kprobe")
            rounds += 1
    return f"{rounds} rounds, {figures}"


def test_a_set_with_a_refused_member_registers_nothing():
    places = [AT[which] for which in (TARGET, EXACT, INNER, IRQ, SOFTIRQ)]
    refusals = {"no_such_function": "ENOENT", "get_kprobe": "EINVAL",
                "stress:stress_user+1": "EINVAL EILSEQ"}
    tried = 0
    with Device() as device:
        for kind, (bad, number) in itertools.product((SET, RETURN_SET), refusals.items()):
            for k in range(len(places) + 1):
                refused(number, device.add, kind, *places[:k], bad, *places[k:])
                equal(refused_member(), k)
                equal(kprobe_list(), [])
                tried += 1
    return f"{tried} sets"


def test_calls_of_probed_functions_in_a_handler_are_missed():
    with Device() as device, exact(device, inner=ALL_KINDS) as figures:
        before = device.counted(INNER)
        outer = device.add(NESTED, AT[TARGET]), device.add(NESTED, inside(AT[TARGET]))
        with fire(device, TARGET, INNER) as threads:
            threads.stopped.wait(SECONDS)
        hits = sum(held.ask(HITS) for held in outer)
        drop(*outer)
        calls = device.counted(INNER) - before
        check(0 < hits < calls, f"{hits} nested calls of {calls}")
    # A hit in a handler is missed by three probes.
    check(figures.missed >= 3 * hits, f"{figures.missed} missed, {hits} nested")
    return f"{hits} calls by handlers, {figures}"


def test_hits_in_interrupts_and_softirqs_are_counted():
    kernel = ["handle_softirqs", "hrtimer_interrupt", "tick_nohz_handler", "update_process_times",
              "run_timer_softirq", "try_to_wake_up", "__schedule"]
    known = []
    with Device() as device:
        # The kernel may lack some. __schedule() is notrace, so a kretprobe is refused.
        for kind, place in itertools.product((BEFORE, FOLLOWED), kernel):
            with contextlib.suppress(OSError):
                device.add(kind, place).drop()
                known.append((kind, place))
        check(len(known) >= 6, f"only {known} can be probed")
        with exact(device, irq=ALL_KINDS, softirq=ALL_KINDS, target=ALL_KINDS) as figures:
            staying = [device.add(kind, place, max_active=64) for kind, place in known]
            with fire(device, TARGET) as threads:
                device.ioctl(IO_TIMERS, 1)
                come_and_go(threads, *known[:3], *known[-3:])
                threads.stopped.wait(SECONDS)
                device.ioctl(IO_TIMERS, 0)
            hits = sum(held.ask(HITS) for held in staying)
            drop(*staying)
        check(device.counted(IRQ) and device.counted(SOFTIRQ) and hits, "no interrupt hit a probe")
    return f"{hits} hits of {len(known)} probes in the kernel, {figures}"


def test_maps_and_their_drops_add_up_to_the_hits_in_all_contexts():
    return maps_add_up(SECONDS, ((COLLECT, False), (COLLECT_ENTRY, False)), ["sched_waking"])


def test_strings_are_read_while_their_page_is_mapped_and_unmapped():
    """32 letters across two pages; the second page is replaced or unmapped."""
    LIBC.mmap.restype = ctypes.c_void_p
    LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    page, fixed = mmap.PAGESIZE, 0x10
    prot, anonymous = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    at = LIBC.mmap(None, 2 * page, prot, anonymous, -1, 0)
    string = at + page - 16
    ctypes.memmove(string, b"A" * 16, 16)

    def exchange():
        for letter in b"A", b"B":
            # Both states last until the other threads have run.
            checked(LIBC.munmap(at + page, page))
            time.sleep(0.001)
            equal(LIBC.mmap(at + page, page, prot, anonymous | fixed, -1, 0), at + page)
            ctypes.memmove(at + page, letter * 16, 16)
            time.sleep(0.001)

    with Device() as device, exact(device, user=((READER, False),)) as figures:
        reader = device.add(READER, "stress:stress_user")
        with Threads() as threads:
            threads.start(exchange, name="exchange")
            for _ in range(CPUS):
                threads.start(device.ioctl, IO_USER, string)
            threads.stopped.wait(SECONDS)
        hits, faults, wrong = reader.ask(HITS, FAULTS, WRONG)
        reader.drop()
    LIBC.munmap(at, 2 * page)
    equal(wrong, 0, "strings that were never written")
    check(0 < faults < hits, f"{faults} faults of {hits} reads")
    exchanges = 2 * threads.count("exchange")
    return f"{exchanges} exchanges, {hits} reads, {faults} EFAULT, {figures}"


def state_of_before():
    return Path("/sys/kernel/debug/rust_kprobe/before").read_text().splitlines()


def test_pending_probes_are_registered_when_their_module_is_loaded():
    rounds = max(ROUNDS // 10, 5)
    with loaded("rust_kprobe.ko", WAITING) as kmsg:
        match_lines(kmsg.lines(), [f"{name}: pending, module not loaded" for name in KINDS])
        equal(state_of_before(), ["Waiting", "0 missed in total", "0 hits"])
        for n in range(1, rounds + 1):
            with stress("stress_victim", "at_init=10"):
                call_victim(10)
                match(state_of_before()[0], r"stress_victim\S+ \[\w+\] by \w+, enabled, 0 missed")
            equal(state_of_before(), ["Gone", "0 missed in total", f"{20 * n} hits"])
            lines = [re.sub(" at .*", "", line) for line in kmsg.lines()
                     if re.search(": (registered|probed)", line)]
            equal(lines, [*(f"{name}: registered {kind}" for name, kind in KINDS.items()),
                          *(f"{name}: probed module unloaded" for name in KINDS)])
        rmmod("rust_kprobe")
        match_lines(ends(kmsg), [unregistered(name, 20 * rounds, 0) + ", gone" for name in KINDS])
    nothing_left("rust_kprobe")
    return f"{rounds} rounds"


def test_pending_probes_are_dropped_while_their_module_is_loaded_and_unloaded():
    def victim():
        insmod("tests/stress/stress_victim.ko", "at_init=50")
        call_victim(50)
        # The kernel holds the module for a moment while a probe is registered.
        until(lambda: not outcome(rmmod, "stress_victim"))

    def probing():
        with loaded("rust_kprobe.ko", WAITING) as kmsg:
            state_of_before()
            rmmod("rust_kprobe")
            match_lines(ends(kmsg), [unregistered(name, missed=0) + "(, gone)?" for name in KINDS])

    with Threads() as threads:
        for step in victim, probing:
            threads.start(step, name=step.__name__)
        threads.start(outcome, state_of_before, name="states")
        threads.stopped.wait(SECONDS)
    nothing_left("rust_kprobe", "stress_victim")
    return threads.summary()
