#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Loads the module in a kernel in lockdown, which cannot be undone and closes debugfs.
For the debug kernel. Prints KTAP.

usage: lockdown.py KDIR
"""
import errno
import shutil
import subprocess
import sys

import kmod
from kmod import equal, probes

DEFINITION = probes("p:enter kernel_clone")


def sign(path):
    """Signs it with the kernel's own key."""
    subprocess.run(
        [f"{KDIR}/scripts/sign-file", "sha512", f"{KDIR}/certs/signing_key.pem",
         f"{KDIR}/certs/signing_key.x509", path],
        check=True,
    )


def test_an_unsigned_module_is_refused():
    try:
        kmod.insmod("rust_kprobe.ko", DEFINITION)
    except OSError as error:
        equal(errno.errorcode[error.errno], "EPERM")
    else:
        raise AssertionError("it was loaded")


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


def main():
    with open("/sys/kernel/security/lockdown", "w", encoding="ascii") as file:
        file.write("integrity")
    return kmod.run("lockdown", kmod.tests(globals()))


if __name__ == "__main__":
    KDIR = sys.argv[1]
    sys.exit(main())
