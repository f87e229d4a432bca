# SPDX-License-Identifier: GPL-2.0
"""The command line of virtme-ng that boots a kernel.

The guest's root file system is the Debian in the cache that scripts/guest-root makes, or this
machine's own with GUEST_ROOT=/. inside/prepare is the first of our programs that runs in the guest.
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

# The memory of a guest, by default and for the debug kernel.
MEMORY, DEBUG_MEMORY = "1G", "2G"

# The folders of the root file system in which a guest can create others.
WRITABLE = ("etc", "home", "lib", "opt", "run", "srv", "tmp", "usr", "var")

# The mount point of this machine's root, if the guest has another one.
HOST_FILES = "/run/host"

# By architecture: the emulated CPU, and parameters for the kernel.
MACHINES = {
    # With five levels of page tables, an interrupt within identify_cpu() of the debug kernel makes
    # KASAN report a wild access, in one boot of ten.
    "amd64": ("max,la57=off",
              # On a busy machine the kernel would mark the emulated TSC as unstable and patch its
              # text accordingly, while a test compares the text. It would also panic, because the
              # timer seems not to work.
              ["tsc=nowatchdog", "no_timer_check"]),
    "arm64": ("cortex-a72", []),
    "riscv64": ("rv64", []),
}


def default_memory(kdir):
    return DEBUG_MEMORY if is_debug(kdir) else MEMORY


@functools.cache
def _script_output(script, arch, *words):
    """Runs a script, which may install packages, and returns its output."""
    done = subprocess.run([ROOT / "scripts" / script, *words], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "ARCH": arch})
    if done.returncode:
                sys.exit(1)  # The script has printed the error.
    return done.stdout.strip()


def kernel_words(kdir, arch, quiet, leaks):
    # The serial line is slow, so the kernel prints few messages while it boots. inside/prepare
    # enables the others.
    words = [*MACHINES[arch][1], f"loglevel={4 if quiet else 6}",
             # 9p refuses an empty source. Without a cache, it would fetch each page again.
             "root=/dev/root",
             "rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose"]
    if has(kdir, "KASAN"):
        # Lockups and RCU stalls are reported from 120 s on, hung tasks from 480 s: on a busy
        # machine a guest's clock advances while the guest does not run, and its CPUs run in turns.
        words += ["watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=120",
                  "sysctl.kernel.hung_task_timeout_secs=480"]
    if has(kdir, "DEBUG_KMEMLEAK") and not leaks:
        words += ["kmemleak=off"]
    elif has(kdir, "DEBUG_KMEMLEAK"):
        # SLUB's per-CPU sheaves keep the addresses of allocated objects, which kmemleak takes for
        # references, so it finds no leak. A cache with debugging (here: consistency checks) has no
        # sheaves. hash_pointers=always, because slab_debug disables the hashing of %p.
        words += ["slab_debug=F", "hash_pointers=always"]
    return words


@contextmanager
def guest(kdir, accel, cpus, memory, command=None, icount=False, threads="single", folder=ROOT,
          leaks=True):
    """The command line and environment that boot the kernel, valid in the `with` block. The
    guest runs the words of `command` in `folder`, with output to stdout and the kernel's console
    to stderr, or an interactive shell."""
    boots = kernel(kdir)
    if boots is None:
        sys.exit(
            f"error: {kdir}: no kernel image\n"
            f"       'make run' and 'make test' boot the kernel: KDIR must be a built tree"
        )
    _script_output("packages", boots.arch, "@boot")
    vng = _script_output("virtme-ng", boots.arch)
    root = Path(_script_output("guest-root", boots.arch))
    modules = str(boots.modules.resolve()) if boots.modules else ""
    own = root == Path("/")
    # Folders of this machine that the guest has at the same paths. A mount needs a mount point.
    shared = [] if own else [path for path in (ROOT, CACHE, Path(kdir).resolve())
                             if path != folder and path.exists() and CACHE not in path.parents]
    host = "" if own else HOST_FILES
    for path in [] if own else (*shared, folder):
        # inside/prepare creates the others, in folders that virtme-ng makes writable.
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
        # The initramfs of a kernel with 9p as a module needs a static busybox.
        args += ["--busybox", str(root / "bin/busybox")]
    if has(kdir, "9P_FS"):
        # virtme-ng would create a folder of modules in the kernel's tree.
        args += ["--skip-modules"]
    if accel == "tcg":
        # One thread for all CPUs. With a thread for each, QEMU 7.2 runs stale code after another
        # CPU has patched it: a kernel that arms a probe in code that runs crashes, with or without
        # this library.
        options = f"-cpu {MACHINES[boots.arch][0]} -accel tcg,thread={threads}"
        if icount:
            # The guest's clock counts instructions, one per nanosecond.
            options += " -icount shift=0,sleep=off"
        args += ["--disable-kvm", f"--qemu-opts={options}"]

    columns, lines = shutil.get_terminal_size()
    settings = {"HOST": host, "MODULES": modules, "FOLDER": str(folder), "PROJECT": str(ROOT),
                "GREETING": os.environ.get("GREETING", ""), "COLUMNS": str(columns),
                "LINES": str(lines)}
    # If virtme-ng is killed, its temporary files are removed with this folder.
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-boot-", dir="/tmp") as scratch:
        start = Path(scratch) / "start"
        # A file, because virtme-ng passes a command on the kernel's command line, which is short.
        prepare = [f"{host}{ROOT}/qemu/inside/prepare", *map(str, shared), "--", *(command or [])]
        start.write_text("\n".join((
            "#!/bin/bash",
            *(f"{name}={shlex.quote(value)}" for name, value in settings.items()),
            f". {shlex.join(prepare)}", "")))
        start.chmod(0o755)
        at = f"{host}{start}"
        args += ["--verbose", "--", f"exec {at}"] if command else ["--shell", at]
        # virtme-ng starts other programs of its folder.
        path = f"{Path(vng).parent}:{os.environ['PATH']}"
        yield args, {**os.environ, "TMPDIR": scratch, "PATH": path}
