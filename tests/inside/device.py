# SPDX-License-Identifier: GPL-2.0
"""/dev/stress, of tests/stress/stress.rs."""
import ctypes
import os

from arch import LIBC
from kmod import checked

# tests/stress/targets.h
TARGET, EXACT, INNER, IRQ, SOFTIRQ, SLEEP, USER = range(7)
# tests/stress/stress.rs
(BEFORE, AROUND, NESTED, READER, FOLLOWED, SET, RETURN_SET, TRACED, ENTRY, ENTRY_SET,
 ENTRY_NESTED, MATCHING, ENTRY_ALONE) = range(13)
HITS, MISSED, RETURNS, WRONG, FAULTS, OPTIMIZED = range(6)
(IO_CALL, IO_COUNTED, IO_TIMERS, IO_SLEEP, IO_USER, IO_ADD, IO_DROP, IO_ENABLE, IO_DISABLE,
 IO_ASK, IO_REFUSED) = (ord("k") << 8 | n for n in range(11))


class Device:
    """An open /dev/stress. Closing it drops its probes."""

    def __init__(self):
        self.fd = os.open("/dev/stress", os.O_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def ioctl(self, what, arg=0):
        return checked(LIBC.ioctl(self.fd, ctypes.c_ulong(what), ctypes.c_ulong(arg)))

    def ask(self, what, question):
        word = ctypes.c_uint64(question)
        self.ioctl(what, ctypes.addressof(word))
        return word.value

    def add(self, kind, *places, max_active=0):
        os.write(self.fd, b"".join(p.replace("+", "\n+").encode() + b"\n" for p in places))
        return Held(self, self.ioctl(IO_ADD, kind | max_active << 8))

    def call(self, which, times):
        self.ioctl(IO_CALL, which | times << 8)

    def counted(self, which):
        return self.ask(IO_COUNTED, which)

    def sleep(self, ms):
        return self.ioctl(IO_SLEEP, ms)


class Held:
    """A probe, or a set of them."""

    def __init__(self, device, index):
        self.device, self.index = device, index

    def ask(self, what):
        return self.device.ask(IO_ASK, what | self.index << 8)

    def seen(self):
        return self.ask(HITS) + self.ask(MISSED)

    def enable(self, on):
        self.device.ioctl(IO_ENABLE if on else IO_DISABLE, self.index)

    def drop(self):
        self.device.ioctl(IO_DROP, self.index)
