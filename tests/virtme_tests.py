# SPDX-License-Identifier: GPL-2.0
"""A guest that virtme-ng boots, with the machine's own udev: the module can be loaded,
seen and unloaded there, too."""
import subprocess

import kernels
import machine
import virtme

# A command that is not built into the shell, so that a program is cloned.
COMMANDS = "insmod rust_kprobe.ko && /bin/true && rmmod rust_kprobe && dmesg | grep rust_kprobe:"
WANTED = (
    "rust_kprobe: clone: registered p at kernel_clone",
    "rust_kprobe: clone: pre pid=",
    "rust_kprobe: cloned: return pid=",
    "rust_kprobe: clone: unregistered, ",
)


def run(bench, results):
    args = virtme.command_line(
        bench.kdir, bench.accel, 2, machine.default_memory(bench.kdir), ["sh", "-c", COMMANDS]
    )
    guest = subprocess.run(
        args, cwd=kernels.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=180,
    )
    for line in WANTED:
        results.add(line in guest.stdout, f"virtme: {line}", guest.stdout.splitlines()[-30:])
    results.add(guest.returncode == 0, "virtme: the commands succeed")
