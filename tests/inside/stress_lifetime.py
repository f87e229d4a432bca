# SPDX-License-Identifier: GPL-2.0
"""Probes come and go, and are enabled and disabled, while what they are on is called."""
import errno
import time

import kmod
from device import AROUND, BEFORE, EXACT, FOLLOWED, IO_REFUSED, RETURN_SET, SET, TARGET, Device
from fire import ALL_KINDS, exact, fire, inside, tell
from form import ROUNDS, SECONDS
from kmod import equal, kprobe_list, log, match_lines, probes, unregistered


def test_loaded_and_unloaded_under_fire():
    """Each round also calls another probed function just 50 times."""
    definitions = probes(
        "p:fire stress:stress_target; r64:back stress:stress_target; "
        "p:exact stress:stress_exact; r64:return stress:stress_exact"
    )
    missed = 0
    with Device() as device, log() as kmsg, fire(device, TARGET):
        for _ in range(ROUNDS):
            kmod.insmod("rust_kprobe.ko", definitions)
            device.call(EXACT, 50)
            kmod.rmmod("rust_kprobe")
            ends = [line for line in kmsg.lines() if " unregistered, " in line]
            found = match_lines(ends, [unregistered(n) for n in ("fire", "back", "exact", "return")])
            for end in found[2:]:
                equal(int(end[1]) + int(end[2]), 50, end[0])
                missed += int(end[2])
    equal(kprobe_list(), [])
    return f"{ROUNDS} rounds, {ROUNDS * 50} calls = hits + missed, {missed} of them missed"


def test_probes_come_and_go_on_one_function():
    places = ["stress:stress_target", "stress:stress_exact", "stress:stress_irq"]
    rounds = []

    def churn(kind, *where):
        with Device() as mine:
            for _ in range(3):
                held = mine.add(kind, *where, max_active=8)
                held.drop()
        rounds.append(kind)

    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        with fire(device, TARGET) as threads:
            within = inside(device, "stress:stress_target")
            for kind in (BEFORE, AROUND, FOLLOWED):
                threads.start(churn, kind, places[0])
            threads.start(churn, BEFORE, within)
            threads.start(churn, SET, *places)
            threads.start(churn, RETURN_SET, *places)
            threads.stopped.wait(SECONDS)
    equal(kprobe_list(), [])
    return f"{3 * len(rounds)} registered and dropped, {tell(figures)}"


def test_enabled_and_disabled_from_several_threads():
    toggled = []

    def toggle(held, on):
        for _ in range(5):
            held.enable(on)
        toggled.append(on)

    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        within = inside(device, "stress:stress_target")
        several = [
            device.add(BEFORE, "stress:stress_target"),
            device.add(AROUND, "stress:stress_target"),
            device.add(FOLLOWED, "stress:stress_target"),
            device.add(BEFORE, within),
        ]
        with fire(device, TARGET) as threads:
            for held in several:
                threads.start(toggle, held, True)
                threads.start(toggle, held, False)
            threads.stopped.wait(SECONDS)
        calls = device.counted(TARGET)
        for held in several:
            if held.seen() > calls:
                raise AssertionError(f"{held.seen()} hits of {calls} calls")
            # Enabled at last, it works as ever.
            held.enable(True)
            before = held.seen()
            device.call(TARGET, 10)
            equal(held.seen(), before + 10, "after the last enable")
            held.enable(False)
            device.call(TARGET, 10)
            equal(held.seen(), before + 10, "after the last disable")
            held.drop()
    return f"{5 * len(toggled)} times, {tell(figures)}"


def test_a_probe_is_dropped_while_others_use_it():
    """One thread drops what others toggle and ask; it is there or it is not."""
    gone = []

    def use(held):
        try:
            held.enable(False)
            held.seen()
            held.enable(True)
        except OSError as error:
            equal(error.errno, errno.ENOENT)
            gone.append(1)

    def exchange(held):
        try:
            held.drop()
        except OSError as error:
            equal(error.errno, errno.ENOENT)
        equal(held.device.add(BEFORE, "stress:stress_target").index, held.index)

    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        with Device() as shared, fire(device, TARGET) as threads:
            held = shared.add(BEFORE, "stress:stress_target")
            threads.start(exchange, held)
            for _ in range(3):
                threads.start(use, held)
            threads.stopped.wait(SECONDS)
    return f"{len(gone)} times not there, {tell(figures)}"


def test_kprobes_are_off_globally_and_on_again():
    """What is registered, or enabled, while they are off is hit when they are on."""
    def switch(on):
        with open("/sys/kernel/debug/kprobes/enabled", "w", encoding="ascii") as enabled:
            enabled.write(str(on))

    tried = 0
    with Device() as device:
        place = "stress:stress_exact"
        within = inside(device, place)
        kinds = [(BEFORE, place), (AROUND, place), (FOLLOWED, place), (BEFORE, within),
                 (AROUND, within), (SET, place), (RETURN_SET, place)]
        # The device does not toggle sets.
        singles = [kind for kind in kinds if kind[0] not in (SET, RETURN_SET)]
        # One by one, and then all at the same time; registered, and enabled, while they are off.
        for again, group in ([(False, [kind]) for kind in kinds] + [(False, kinds)]
                             + [(True, [kind]) for kind in singles] + [(True, singles)]):
            held = []
            if again:
                held = [device.add(*kind) for kind in group]
                for one in held:
                    one.enable(False)
            switch(0)
            try:
                if again:
                    for one in held:
                        one.enable(True)
                else:
                    held = [device.add(*kind) for kind in group]
                device.call(EXACT, 5)
                equal([one.seen() for one in held], [0] * len(group), f"{group} while off")
            finally:
                switch(1)
            device.call(EXACT, 7)
            equal([one.seen() for one in held], [7] * len(group), f"{group} when on again")
            if again:
                for one in held:
                    one.enable(False)
                device.call(EXACT, 3)
                equal([one.seen() for one in held], [7] * len(group), f"{group} disabled")
            for one in held:
                one.drop()
            tried += 1
    equal(kprobe_list(), [])
    return f"{tried} times"


def test_a_probed_module_is_unloaded_and_loaded_again():
    rounds = max(ROUNDS // 10, 5)
    places = "p:before stress_victim:stress_victim; r:after stress_victim:stress_victim"
    with log() as kmsg, Device() as device:
        for n in range(rounds):
            kmod.insmod("tests/stress/stress_victim.ko")
            kmod.insmod("rust_kprobe.ko", probes(places))
            held = device.add(BEFORE, "stress_victim:stress_victim")
            with open("/sys/module/stress_victim/parameters/call", "w", encoding="ascii") as call:
                call.write("20")
            equal(held.seen(), 20)
            kmod.rmmod("stress_victim")
            if not all("[GONE]" in line for line in kprobe_list()):
                raise AssertionError("; ".join(kprobe_list()))
            match_lines(
                [line for line in kmsg.lines() if ": gone" in line],
                [f"{name}: gone, its module has left" for name in ("before", "after")],
            )
            # What is gone is as good as disabled, and cannot be enabled.
            held.enable(False)
            try:
                held.enable(True)
            except OSError as error:
                equal(error.errno, errno.EINVAL)
            else:
                raise AssertionError("a probe that is gone was enabled")
            if n % 2:  # The next one of that name may lie at the same address.
                kmod.insmod("tests/stress/stress_victim.ko")
                with open("/sys/module/stress_victim/parameters/call", "w", encoding="ascii") as call:
                    call.write("20")
                kmod.rmmod("stress_victim")
            equal(held.seen(), 20)
            held.drop()
            kmod.rmmod("rust_kprobe")
            ends = [line for line in kmsg.lines() if " unregistered, " in line]
            match_lines(ends, [unregistered(name, 20, 0) + ", gone" for name in ("before", "after")])
    equal(kprobe_list(), [])
    return f"{rounds} rounds"


def test_two_modules_on_one_function_and_one_leaves():
    rounds = 0
    end = time.monotonic() + SECONDS
    other = probes("p:a stress:stress_target; r64:b stress:stress_target")
    with Device() as device, exact(device, target=ALL_KINDS) as figures:
        with fire(device, TARGET):
            while time.monotonic() < end or rounds < 2:
                kmod.insmod("rust_kprobe.ko", other)
                kmod.rmmod("rust_kprobe")
                rounds += 1
    return f"{rounds} rounds, {tell(figures)}"


def test_a_set_whose_kth_member_is_refused():
    places = [f"stress:stress_{name}" for name in ("target", "exact", "inner", "irq", "softirq")]
    refusals = {"no_such_function": errno.ENOENT, "get_kprobe": errno.EINVAL,
                "stress:stress_user+1": errno.EINVAL}
    tried = 0
    with Device() as device:
        for kind in (SET, RETURN_SET):
            for bad, number in refusals.items():
                for k in range(len(places) + 1):
                    members = places[:k] + [bad] + places[k:]
                    try:
                        device.add(kind, *members)
                    except OSError as error:
                        if error.errno not in (number, errno.EILSEQ):
                            raise
                    else:
                        raise AssertionError(f"member {k}, {bad}, was not refused")
                    equal(device.ioctl(IO_REFUSED), k)
                    equal(kprobe_list(), [])
                    tried += 1
    return f"{tried} sets"
