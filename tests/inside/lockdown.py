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

import kmod
from kmod import equal, match, probes
from listening import ALL, TRACING, call, put, refused

DEFINITION = probes("p:enter kernel_clone")
LOCKDOWN = "/sys/kernel/security/lockdown"


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
    refused(errno.EPERM, kmod.insmod, "rust_kprobe.ko", DEFINITION)


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
    with signed("events"), ALL.listening("number"):
        call("number 7 1")
        equal(ALL.lines(), ["number: value=7"])


def test_a_listener_stays_and_a_new_one_is_refused_in_confidentiality():
    """The kernel opens no file of tracefs then, but for formats. What is open can be used."""
    with signed("events"):
        number = ALL["number"]
        enable = os.open(number / "enable", os.O_WRONLY)
        pipe = os.open(TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        os.write(enable, b"1")
        put(LOCKDOWN, "confidentiality")
        call("number 8 1")
        match(os.read(pipe, 4096).decode().rstrip("\n"), r".*: number: value=8")
        for file in (number / "enable", TRACING / "trace", TRACING / "dynamic_events"):
            refused(errno.EPERM, os.open, file, os.O_RDONLY)
        os.write(enable, b"0")
        os.close(enable)
        os.close(pipe)


def test_a_module_with_events_in_confidentiality():
    before = sorted(os.listdir(TRACING / "events"))
    with kmod.log("events") as log:
        with signed("events"):
            call("number 1 3")
            refused(errno.EPERM, ALL.set, "number")
        equal(log.lines(), ["0 hits, 0 unheard, quiet: false"])
    equal(sorted(os.listdir(TRACING / "events")), before)


def main():
    put(LOCKDOWN, "integrity")
    return kmod.run("lockdown", kmod.tests(globals()))


if __name__ == "__main__":
    KDIR = sys.argv[1]
    sys.exit(main())
