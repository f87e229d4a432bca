#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Loads the module in a kernel in lockdown, which disables debugfs and lasts until the next boot.
For the debug kernel. Prints KTAP.

usage: lockdown.py KDIR
"""
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import kmod
from kmod import TRACING, check, equal, match, probes, refused, write
from listening import ALL, call, ko

DEFINITION = probes("p:enter kernel_clone")
LOCKDOWN = "/sys/kernel/security/lockdown"


@contextmanager
def signed(module=ko("events"), params=""):
    copy = shutil.copy(module, "/tmp")
    subprocess.run([f"{KDIR}/scripts/sign-file", "sha512", f"{KDIR}/certs/signing_key.pem",
                    f"{KDIR}/certs/signing_key.x509", copy], check=True)
    with kmod.loaded(copy, params) as kmsg:
        yield kmsg


def test_an_unsigned_module_is_refused():
    refused("EPERM", kmod.insmod, "rust_kprobe.ko", DEFINITION)


def test_a_signed_module_is_loaded_and_hit():
    with signed("rust_kprobe.ko", DEFINITION) as kmsg:
        subprocess.run(["true"], check=True)
        kmod.rmmod("rust_kprobe")
        end = match(kmsg.lines()[-1], kmod.unregistered("enter"))
        check(int(end[1]) >= 1, end[0])


def test_events_are_read_in_integrity_mode():
    with signed(), ALL.listening("number"):
        call("number 7 1")
        equal(ALL.lines(), ["number: value=7"])


def test_confidentiality_mode_keeps_listeners_and_refuses_new_ones():
    """The kernel refuses to open tracefs files other than formats. Open files stay usable."""
    with signed():
        number = ALL["number"]
        enable = os.open(number / "enable", os.O_WRONLY)
        pipe = os.open(TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        os.write(enable, b"1")
        write(LOCKDOWN, "confidentiality")
        call("number 8 1")
        match(os.read(pipe, 4096).decode().rstrip("\n"), r".*: number: value=8")
        for file in (number / "enable", TRACING / "trace", TRACING / "dynamic_events"):
            refused("EPERM", os.open, file, os.O_RDONLY)
        os.write(enable, b"0")
        os.close(enable)
        os.close(pipe)


def test_a_module_with_events_is_loaded_in_confidentiality_mode():
    before = sorted(os.listdir(TRACING / "events"))
    with signed() as kmsg:
        call("number 1 3")
        refused("EPERM", ALL.set, "number")
        kmod.rmmod("events")
        equal(kmsg.lines(), ["0 hits, 0 unheard, quiet: false"])
    equal(sorted(os.listdir(TRACING / "events")), before)


def main():
    write(LOCKDOWN, "integrity")
    return kmod.run("lockdown", kmod.tests(globals()))


if __name__ == "__main__":
    KDIR = sys.argv[1]
    sys.exit(main())
