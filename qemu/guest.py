# SPDX-License-Identifier: GPL-2.0
"""The command line of virtme-ng that boots a kernel.

The guest's root file system is a Debian in the cache, which scripts/guest-root makes, or
GUEST_ROOT=/ for this machine's own. inside/prepare is the first program of ours that the
guest runs.
"""
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from kernels import CACHE, ROOT, has, is_debug, kernel

# The memory of a guest; that of the debug kernel.
MEMORY, DEBUG_MEMORY = "1G", "2G"

# Where a guest can make folders.
WRITABLE = ("etc", "home", "lib", "opt", "run", "srv", "tmp", "usr", "var")

# Where the guest has the files of this machine, if its root file system is another.
HOST_FILES = "/run/host"

# By architecture: the emulated CPU, and what the kernel must know of the machine.
MACHINES = {
    # With five levels of page tables, an interrupt within identify_cpu() of the debug kernel
    # makes KASAN report a wild access, in one boot of ten.
    "amd64": ("max,la57=off",
              # On a busy machine the kernel would find the emulated TSC unstable, and patch its
              # text for that while a test compares it; and that the timer does not work, and panic.
              ["tsc=nowatchdog", "no_timer_check"]),
    "arm64": ("cortex-a72", []),
    "riscv64": ("rv64", []),
}


def default_memory(kdir):
    return DEBUG_MEMORY if is_debug(kdir) else MEMORY


@functools.cache
def _asked(script, arch, *words):
    """What one of our scripts prints, which installs what it takes."""
    done = subprocess.run([ROOT / "scripts" / script, *words], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "ARCH": arch})
    if done.returncode:
        sys.exit(1)  # It said why.
    return done.stdout.strip()


def kernel_words(kdir, arch, quiet, leaks):
    """What is added to the kernel's command line."""
    # The serial line is slow, so the kernel prints few messages while it boots.
    # inside/prepare turns the others on.
    words = [*MACHINES[arch][1], f"loglevel={4 if quiet else 6}",
             # 9p takes no empty source, and would ask this machine for each page again.
             "root=/dev/root",
             "rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose"]
    if has(kdir, "KASAN"):
        # A CPU is stuck, or keeps RCU waiting, from 120 s on, and a task from 480 s: on a busy
        # machine a guest's clock goes on while it does not, and its CPUs, which take turns, do
        # a thirtieth of what they usually do.
        words += ["watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=120",
                  "sysctl.kernel.hung_task_timeout_secs=480"]
    if has(kdir, "DEBUG_KMEMLEAK") and not leaks:
        # A guest needs half as long without it.
        words += ["kmemleak=off"]
    elif has(kdir, "DEBUG_KMEMLEAK"):
        # The per-CPU sheaves of SLUB keep the addresses of what they gave out, which to kmemleak
        # are references: it finds no leak. A cache that is debugged, here for consistency, has no
        # sheaves. By itself that would stop %p from being hashed.
        words += ["slab_debug=F", "hash_pointers=always"]
    return words


@contextmanager
def guest(kdir, accel, cpus, memory, command=None, icount=False, threads="single", folder=ROOT,
          leaks=True):
    """The command line and the environment that boot the kernel and run the words of
    `command` in `folder`: its output is on stdout then, the kernel's console on stderr; or
    a shell. They are good in the `with` block."""
    boots = kernel(kdir)
    if boots is None:
        sys.exit(
            f"error: {kdir}: no kernel image\n"
            f"       'make run' and 'make test' boot the kernel: KDIR must be a built tree"
        )
    _asked("packages", boots.arch, "@boot")
    vng = _asked("virtme-ng", boots.arch)
    root = Path(_asked("guest-root", boots.arch))
    modules = str(boots.modules.resolve()) if boots.modules else ""
    own = root == Path("/")
    # What the guest needs of this machine, at the same paths. A mount needs a folder.
    shared = [] if own else [path for path in (ROOT, CACHE, Path(kdir).resolve())
                             if path != folder and path.exists() and CACHE not in path.parents]
    host = "" if own else HOST_FILES
    for path in [] if own else (*shared, folder):
        # inside/prepare can make the others, where virtme-ng lets a guest write.
        if path.parts[1] not in WRITABLE:
            try:
                (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                sys.exit(f"error: {root}: cannot create a mount point for {path}: {error.strerror}")

    args = [vng, "--run", str(boots.image), "--arch", boots.arch, "--root", str(root),
            "--user", "root", "--cpus", str(cpus), "--memory", memory, "--force-9p",
            "--disable-microvm", "-a", " ".join(kernel_words(kdir, boots.arch, not command, leaks))]
    if not own:
        args += ["--rodir", f"{HOST_FILES}=/"]
    if not own and (root / "bin/busybox").exists():
        # For the initramfs of a kernel with 9p as a module; this machine's may not be static.
        args += ["--busybox", str(root / "bin/busybox")]
    if has(kdir, "9P_FS"):
        # virtme-ng would put a folder of modules into the tree of the kernel.
        args += ["--skip-modules"]
    if accel == "tcg":
        # One thread for all CPUs: with a thread for each, QEMU 7.2 runs stale
        # code where another CPU has just patched it, and a kernel that arms a
        # probe under fire jumps to nowhere, with or without this project.
        options = f"-cpu {MACHINES[boots.arch][0]} -accel tcg,thread={threads}"
        if icount:
            # The guest's clock counts instructions, one a nanosecond.
            options += " -icount shift=0,sleep=off"
        args += ["--disable-kvm", f"--qemu-opts={options}"]

    columns, lines = shutil.get_terminal_size()
    settings = {"HOST": host, "MODULES": modules, "FOLDER": str(folder), "PROJECT": str(ROOT),
                "GREETING": os.environ.get("GREETING", ""), "COLUMNS": str(columns),
                "LINES": str(lines)}
    # virtme-ng leaves its own temporary files where it is killed.
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-boot-", dir="/tmp") as scratch:
        start = Path(scratch) / "start"
        # A file: the kernel's command line, by which virtme-ng passes a command, is short.
        prepare = [f"{host}{ROOT}/qemu/inside/prepare", *map(str, shared), "--", *(command or [])]
        start.write_text("\n".join((
            "#!/bin/bash",
            *(f"{name}={shlex.quote(value)}" for name, value in settings.items()),
            f". {shlex.join(prepare)}", "")))
        start.chmod(0o755)
        at = f"{host}{start}"
        args += ["--verbose", "--", f"exec {at}"] if command else ["--shell", at]
        # It calls programs beside it.
        path = f"{Path(vng).parent}:{os.environ['PATH']}"
        yield args, {**os.environ, "TMPDIR": scratch, "PATH": path}
