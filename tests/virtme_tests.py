# SPDX-License-Identifier: GPL-2.0
"""Runs the README's virtme-ng command."""
import os
import subprocess
from pathlib import Path

import kernels
from commands_tests import readme_blocks
from workbench import output

WANTED = (
    "rust_kprobe: clone: registered p at kernel_clone",
    "rust_kprobe: clone: pre pid=",
    "rust_kprobe: cloned: return pid=",
    "rust_kprobe: clone: unregistered, ",
)


def run(bench, results):
    # The first line builds the module for Debian's kernel, which the tests have done.
    commands = readme_blocks("sh")[0].partition("\n")[2]
    if not bench.stock:
        commands = commands.replace("$(scripts/stock image)/boot/vmlinuz-*", "$KDIR")
        assert "--run $KDIR " in commands, commands
    vng = subprocess.check_output([kernels.ROOT / "scripts/virtme-ng"], text=True)
    path = f"{Path(vng).parent}:{os.environ['PATH']}"
    guest = output(["bash", "-c", f"set -o pipefail; {commands}"], stdin=subprocess.DEVNULL,
                   timeout=180, env={**os.environ, "KDIR": bench.kdir, "PATH": path})
    end = guest.stdout.splitlines()[-30:]
    for line in WANTED:
        results.add(line in guest.stdout, f"virtme: the log has {line!r}", end)
    results.add(guest.returncode == 0, "virtme: the README's commands succeed", end)
