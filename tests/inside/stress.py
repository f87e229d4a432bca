#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Stresses the probes in the guest, through /dev/stress and rust_kprobe.ko,
while every CPU keeps hitting them. Prints KTAP.

usage: stress.py ROUNDS SECONDS EVERY [TEST...]

ROUNDS is how often a module is loaded and unloaded, SECONDS how long each test
runs that has no rounds, and EVERY that each EVERYth function of the kernel is
probed.

The rule of all of them: a probe that stays has seen each call, or says that it
missed it. The functions count their own calls.
"""
import contextlib
import ctypes
import errno
import itertools
import mmap
import os
import signal
import subprocess
import sys
import threading
import time

import kmod
import text
from device import (AROUND, BEFORE, EXACT, FAULTS, FOLLOWED, HITS, INNER, IO_REFUSED, IO_TIMERS,
                    IO_USER, IRQ, MISSED, NESTED, READER, RETURNS, RETURN_SET, SET, SLEEP, SOFTIRQ,
                    TARGET, USER, WRONG, Device)
from arch import LIBC
from kmod import checked, equal, kprobe_list, log, match_lines, probes, unregistered

CPUS = os.cpu_count()


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


ALL_KINDS = ((BEFORE, False), (BEFORE, True), (FOLLOWED, False))


def tell(figures):
    return f"{figures['calls']} calls = hits + missed, {figures['missed']} of them missed"


# ---------------------------------------------------------------------------
# The tests, in order: each function whose name begins with test_.


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


def test_a_handler_calls_a_probed_function():
    with Device() as device, exact(device, inner=ALL_KINDS) as figures:
        before = device.counted(INNER)
        outer = device.add(NESTED, "stress:stress_target")
        within = device.add(NESTED, inside(device, "stress:stress_target"))
        with fire(device, TARGET, INNER) as threads:
            threads.stopped.wait(SECONDS)
        hits = outer.ask(HITS) + within.ask(HITS)
        outer.drop()
        within.drop()
        calls = device.counted(INNER) - before
        if hits == 0 or calls <= hits:
            raise AssertionError(f"{hits} nested calls of {calls}")
    # A hit in a handler is missed, each by three probes.
    if figures["missed"] < 3 * hits:
        raise AssertionError(f"{figures['missed']} missed, {hits} nested")
    return f"{hits} calls by handlers, {tell(figures)}"


def test_interrupts_and_softirqs():
    kernel = ["handle_softirqs", "hrtimer_interrupt", "tick_nohz_handler", "update_process_times",
              "run_timer_softirq", "try_to_wake_up", "__schedule"]
    known = []

    def churn(kind, place):
        with Device() as mine:
            mine.add(kind, place, max_active=64).drop()

    with Device() as device:
        # Not all of them are there, and __schedule() is notrace: no kretprobe is taken there.
        for kind, place in itertools.product((BEFORE, FOLLOWED), kernel):
            with contextlib.suppress(OSError):
                device.add(kind, place).drop()
                known.append((kind, place))
        if len(known) < 6:
            raise AssertionError(f"only {known} can be probed")
        with exact(device, irq=ALL_KINDS, softirq=ALL_KINDS, target=ALL_KINDS) as figures:
            staying = [device.add(kind, place, max_active=64) for kind, place in known]
            with fire(device, TARGET) as threads:
                device.ioctl(IO_TIMERS, 1)
                for kind, place in known[:3] + known[-3:]:
                    threads.start(churn, kind, place)
                threads.stopped.wait(SECONDS)
                device.ioctl(IO_TIMERS, 0)
            hits = sum(held.ask(HITS) for held in staying)
            for held in staying:
                held.drop()
        if device.counted(IRQ) == 0 or device.counted(SOFTIRQ) == 0 or hits == 0:
            raise AssertionError("no interrupt came")
    return f"{hits} hits of {len(known)} probes in the kernel, {tell(figures)}"


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


def test_strings_are_read_while_their_page_comes_and_goes():
    """32 letters across two pages, of which the second is exchanged or taken away."""
    LIBC.mmap.restype = ctypes.c_void_p
    LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    page, fixed = mmap.PAGESIZE, 0x10
    prot, anonymous = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    at = LIBC.mmap(None, 2 * page, prot, anonymous, -1, 0)
    string = at + page - 16
    ctypes.memmove(string, b"A" * 16, 16)
    exchanged = []

    def exchange(letter):
        # Both states last until the others have had their turn.
        checked(LIBC.munmap(at + page, page))
        time.sleep(0.001)
        if LIBC.mmap(at + page, page, prot, anonymous | fixed, -1, 0) != at + page:
            raise AssertionError("mmap moved it")
        ctypes.memmove(at + page, letter * 16, 16)
        time.sleep(0.001)
        exchanged.append(1)

    def alternate():
        exchange(b"A")
        exchange(b"B")

    with Device() as device, exact(device, user=((READER, False),)) as figures:
        reader = device.add(READER, "stress:stress_user")
        with Threads() as threads:
            threads.start(alternate)
            for _ in range(CPUS):
                threads.start(device.ioctl, IO_USER, string)
            threads.stopped.wait(SECONDS)
        hits, faults, wrong = (reader.ask(what) for what in (HITS, FAULTS, WRONG))
        reader.drop()
    LIBC.munmap(at, 2 * page)
    equal(wrong, 0, "strings that nobody wrote")
    if not 0 < faults < hits:
        raise AssertionError(f"{faults} faults of {hits} reads")
    return f"{len(exchanged)} exchanges, {hits} reads, {faults} EFAULT, {tell(figures)}"


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


def workload(stopped):
    """What a machine does all day: processes, files, pipes, sockets, memory."""
    while not stopped.is_set():
        subprocess.run(
            ["/bin/bash", "-c",
             "cat /proc/self/maps /proc/meminfo /proc/interrupts >/dev/null; ls -lR /sys/kernel "
             ">/dev/null; head -c 300000 /dev/urandom | gzip | gunzip | wc -c >/dev/null; "
             "echo x >/tmp/stress.$$; mv /tmp/stress.$$ /tmp/stress; rm /tmp/stress; "
             "ip link add s0 type veth peer name s1 2>/dev/null; ip link set s0 up; "
             "ip link del s0; sleep 0.05"],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )


def functions():
    with open("/sys/kernel/tracing/available_filter_functions", encoding="ascii") as file:
        lines = [line.split() for line in file]
    # MODULE:FUNCTION for what is not in the kernel itself.
    return [f"{l[1].strip('[]')}:{l[0]}" if len(l) > 1 else l[0] for l in lines]


def test_every_function_of_the_kernel():
    everything = list(dict.fromkeys(functions()))
    every = everything[::EVERY]
    refused = {}
    hits = attached = 0
    stopped = threading.Event()
    worker = threading.Thread(target=workload, args=(stopped,))
    worker.start()
    try:
        time.sleep(3)  # What it patches at first, as static keys, it has patched.
        before = text.pages()
        with Device() as device:
            for at in range(0, len(every), 500):
                batch = every[at:at + 500]
                while batch:
                    try:
                        held = device.add(SET, *batch)
                    except OSError as error:
                        name = errno.errorcode.get(error.errno, str(error.errno))
                        refused.setdefault(name, []).append(batch.pop(device.ioctl(IO_REFUSED)))
                    else:
                        break
                if batch:
                    time.sleep(0.3)
                    attached += len(batch)
                    hits += held.ask(HITS)
                    held.drop()
                print(f"# {min(at + 500, len(every))} of {len(every)}", flush=True)
    finally:
        stopped.set()
        worker.join()
    equal(kprobe_list(), [])
    changed = text.changed(before)
    equal(changed, [], "the kernel's text has changed at")
    equal(attached + sum(map(len, refused.values())), len(every))
    if hits == 0:
        raise AssertionError("nothing was hit")
    for name, which in refused.items():
        print(f"# {name}: {len(which)}, as {', '.join(which[:5])}")
    told = ", ".join(f"{len(which)} {name}" for name, which in refused.items()) or "none"
    return (f"{attached} of {len(every)} attached, refused: {told}; {hits} hits; "
            f"text as before, {len(before)} pages")


MARKED = r"""
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A system call between marks in all registers that it has to keep; 0 if it does. */
static long marked(long nr, long a, long b)
{
	long bad;

	asm volatile(
		"push %%rbp; push %%rbx; mov %[nr], %%rax\n"
		"mov $0x1111, %%rbx; mov $0x2222, %%rbp; mov $0x3333, %%r12\n"
		"mov $0x4444, %%r13; mov $0x5555, %%r14; mov $0x6666, %%r15\n"
		"mov $0x7777, %%r8; mov $0x8888, %%r9; mov $0x9999, %%r10; xor %%edx, %%edx\n"
		"syscall\n"
		"sub $0x1111, %%rbx; sub $0x2222, %%rbp; sub $0x3333, %%r12\n"
		"sub $0x4444, %%r13; sub $0x5555, %%r14; sub $0x6666, %%r15\n"
		"sub $0x7777, %%r8; sub $0x8888, %%r9; sub $0x9999, %%r10\n"
		"or %%rbx, %%rbp; or %%r12, %%rbp; or %%r13, %%rbp; or %%r14, %%rbp\n"
		"or %%r15, %%rbp; or %%r8, %%rbp; or %%r9, %%rbp; or %%r10, %%rbp\n"
		"or %%rdx, %%rbp; mov %%rbp, %%rcx; pop %%rbx; pop %%rbp\n"
		: "=&c"(bad), "+D"(a), "+S"(b)
		: [nr] "r"(nr)
		: "rax", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return bad;
}

int main(int argc, char **argv)
{
	struct { long s, ns; } moment = { 0, 1000 };
	pid_t me = getpid();

	for (int n = atoi(argv[1]); n; n--) {
		int status;
		char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		page[0] = 1;
		munmap(page, 4096);
		/* getpid, sched_yield, nanosleep; and fork, whose child compares as well. */
		if (marked(39, 0, 0) || marked(24, 0, 0) || marked(35, (long)&moment, 0))
			return 1;
		if (marked(57, 0, 0))
			_exit(2);
		if (getpid() != me)
			_exit(7);
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			return 3;
	}
	return 0;
}
"""

# What a kretprobe of C's can be put on, and must not.
NO_FUNCTIONS = ("ret_from_fork_asm", "__switch_to_asm")


def test_a_return_probe_on_every_symbol():
    """Only functions take one; and with it, programs keep their registers."""
    if os.uname().machine != "x86_64":
        return "the program is one of x86-64"
    binary = "/tmp/stress-marked"
    subprocess.run(["gcc", "-O1", "-mno-red-zone", "-w", "-x", "c", "-", "-o", binary],
                   input=MARKED, text=True, check=True)
    with open("/proc/kallsyms", encoding="ascii") as file:
        lines = [line.split() for line in file]
    symbols = list(dict.fromkeys(l[2] for l in lines if len(l) == 3 and l[1] in "tTwW"))
    cold = [s for s in symbols if s.endswith(".cold")][:20]
    wanted = [s for s in (*NO_FUNCTIONS, *cold) if s in symbols]
    wanted += [s for s in symbols[::EVERY] if s not in wanted]
    # By address: ftrace's list has one of several names of a function.
    address = {l[2]: l[0] for l in reversed(lines)}
    known = {address.get(name.split(":")[-1]) for name in functions()}
    refused, taken = {}, []

    def compare(names):
        run = subprocess.run([binary, "20"], check=False)
        equal(run.returncode, 0, f"a marked register, with return probes on {' '.join(names)}")

    for at in range(0, len(wanted), 100):
        batch = []
        with Device() as device:
            for name in wanted[at:at + 100]:
                try:
                    device.add(FOLLOWED, name, max_active=64)
                except OSError as error:
                    code = errno.errorcode.get(error.errno, str(error.errno))
                    refused.setdefault(code, []).append(name)
                else:
                    batch.append(name)
            compare(batch)
        taken += batch
        if EVERY == 1:
            print(f"# {at + 100} of {len(wanted)}", flush=True)
    compare([])
    equal([s for s in taken if address[s] not in known], [], "taken, and not in ftrace's list")
    missing = [s for s in (*NO_FUNCTIONS, *cold) if s in wanted and s not in refused["EINVAL"]]
    equal(missing, [], "not refused")
    equal(kprobe_list(), [])
    told = ", ".join(f"{len(which)} {code}" for code, which in refused.items())
    return f"{len(taken)} of {len(wanted)} taken, refused: {told}; registers as they were"


def main():
    tests = kmod.tests(globals())
    kmod.insmod("tests/stress/stress.ko")
    status = kmod.run(f"stress on {CPUS} CPUs", tests, sys.argv[4:])
    kmod.rmmod("stress")
    return status


if __name__ == "__main__":
    ROUNDS, SECONDS, EVERY = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    sys.exit(main())
