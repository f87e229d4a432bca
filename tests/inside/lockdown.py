#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Loads the module in a kernel in lockdown, which cannot be undone and closes debugfs.
For the debug kernel. Prints KTAP.

usage: lockdown.py KDIR
"""
import errno
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import kmod
from kmod import equal, probes

DEFINITION = probes("p:enter kernel_clone")
TRACING = Path("/sys/kernel/tracing")
MADE = Path("/sys/module/events_made/parameters")


def put(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def refused(name, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        equal(errno.errorcode[error.errno], name)
    else:
        raise AssertionError("it was not refused")


@contextmanager
def signed(module):
    """A module of tests/events, with the kernel's key."""
    copy = f"/tmp/{module}.ko"
    shutil.copy(f"tests/events/{module}.ko", copy)
    sign(copy)
    kmod.insmod(copy)
    try:
        yield
    finally:
        kmod.rmmod(module)


def sign(path):
    """Signs it with the kernel's own key."""
    subprocess.run(
        [f"{KDIR}/scripts/sign-file", "sha512", f"{KDIR}/certs/signing_key.pem",
         f"{KDIR}/certs/signing_key.x509", path],
        check=True,
    )


def test_an_unsigned_module_is_refused():
    refused("EPERM", kmod.insmod, "rust_kprobe.ko", DEFINITION)


def test_a_signed_module_is_loaded_and_hit():
    copy = "/tmp/rust_kprobe.ko"
    shutil.copy("rust_kprobe.ko", copy)
    sign(copy)
    with kmod.log() as kmsg:
        kmod.insmod(copy, DEFINITION)
        subprocess.run(["true"], check=True)
        kmod.rmmod("rust_kprobe")
        end = kmod.match(kmsg.lines()[-1], kmod.unregistered("enter"))
        if int(end[1]) < 1:
            raise AssertionError(end[0])


def test_events_are_read_in_integrity():
    with signed("events_made"):
        put(MADE / "do", "make one n:u8")
        enable = TRACING / "events/events_test/one/enable"
        put(enable, "1")
        put(MADE / "call", "7 1 x")
        lines = [line.strip() for line in open(TRACING / "trace", encoding="ascii") if "one:" in line]
        equal([line.split(": ", 1)[1] for line in lines], ["one: n=7"])
        put(enable, "0")


def test_who_listens_is_kept_and_nobody_comes_in_confidentiality():
    """The kernel opens no file of tracefs then, but for formats."""
    with signed("events"), signed("events_made"):
        put(MADE / "do", "make one n:u8")
        event = TRACING / "events/events_test/one"
        enable = os.open(event / "enable", os.O_WRONLY)
        os.write(enable, b"1")
        put("/sys/kernel/security/lockdown", "confidentiality")
        put(MADE / "call", "7 1 x")
        for file in (event / "enable", TRACING / "trace", TRACING / "dynamic_events"):
            refused("EPERM", os.open, file, os.O_RDONLY)
        put(MADE / "do", "make two n:u8")
        refused("EPERM", os.open, event.parent / "two/enable", os.O_WRONLY)
        put(MADE / "do", "drop two")
        # What is open already can be written to.
        os.write(enable, b"0")
        put(MADE / "do", "drop one")
        equal(event.exists(), False)
        os.close(enable)


def test_a_module_with_events_in_confidentiality():
    before = sorted(os.listdir(TRACING / "events"))
    with signed("events"):
        put("/sys/module/events/parameters/call", "number 1 3")
        refused("EPERM", put, TRACING / "events/enable", "1")
    equal(sorted(os.listdir(TRACING / "events")), before)


def main():
    put("/sys/kernel/security/lockdown", "integrity")
    return kmod.run("lockdown", kmod.tests(globals()))


if __name__ == "__main__":
    KDIR = sys.argv[1]
    sys.exit(main())
