# SPDX-License-Identifier: GPL-2.0
"""Boots a workbench kernel by virtme-ng, which brings the user's machine into the guest:
its udev, its tools and its files."""
import os
import shlex
import subprocess

from kernels import CACHE, HOST, ROOT, arch, is_stock


def can_boot(kdir):
    """Whether the kernel has what virtme-ng needs built in."""
    return HOST == "amd64" and arch(kdir) == HOST and not is_stock(kdir)


def command_line(kdir, accel, cpus, memory, command=None):
    """The command line that runs the words of `command` in ROOT, or a shell."""
    subprocess.run([ROOT / "scripts/setup", "shell"], check=True)
    os.environ["PATH"] = f"{CACHE}/bin:{os.environ['PATH']}"
    args = ["vng", "--run", f"{kdir}/arch/x86/boot/bzImage", "--cpus", str(cpus),
            "--memory", memory, "--user", "root", "--force-9p",
            # 9p refuses an empty source. Without entropy %p is not hashed.
            "-a", "root=/dev/root", "--qemu-opts=-device virtio-rng-pci"]
    if accel == "tcg":
        # verdict.py says why there is one thread.
        args += ["--disable-kvm", "--qemu-opts=-accel tcg,thread=single"]
    if command is not None:
        args += ["--", shlex.join(command)]
    return args
