# SPDX-License-Identifier: GPL-2.0
"""Boots a kernel in QEMU with nothing but an initramfs of our own: busybox, the
modules that it takes to mount the guest's root file system, and inside/init,
which does the rest. There is no udev in the guest: it takes ten seconds.
"""
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from kernels import CACHE, HOST, ROOT, has, is_debug, kernel

# The memory of a guest; that of the debug kernel.
MEMORY, DEBUG_MEMORY = "1G", "2G"

# For the root file system, for the command's output, and for entropy, without which
# %p is not hashed.
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio-rng")

# The emulators by architecture.
EMULATORS = {
    "amd64": {
        "command": ["qemu-system-x86_64", "-machine", "q35"],
        # On a busy machine the kernel would find the emulated TSC unstable, and patch
        # its text for that while a test compares it; and that the timer does not work, and
        # panic.
        "append": ["console=ttyS0", "tsc=nowatchdog", "no_timer_check"],
    },
    "arm64": {
        "command": ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"],
        "append": ["console=ttyAMA0"],
    },
}


def _stem(path):
    """The name of a module in the kernel."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def needed(modules, wanted=MODULES):
    """The files of these modules and their dependencies, in the order of loading,
    without those that are built into the kernel."""
    builtin = {_stem(line) for line in (modules / "modules.builtin").read_text().split()}
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        # The last one is loaded first.
        depends[_stem(path)] = [*reversed(rest.split()), path]
    files = []
    for name in (w.replace("-", "_") for w in wanted):
        if name in builtin:
            continue
        if name not in depends:
            sys.exit(f"error: the kernel of {modules} has no module {name}")
        files += [path for path in depends[name] if path not in files]
    return [modules / path for path in files]


def _contents(module):
    """The contents of a module file, decompressed."""
    packed = module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(packed)
    if module.suffix == ".zst":
        return subprocess.run(["zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    return packed


def _install(arch):
    """Installs what it takes to boot, for who gave a KDIR of their own."""
    done = subprocess.run([ROOT / "scripts/packages", "@boot"], env={**os.environ, "ARCH": arch})
    if done.returncode:
        sys.exit(1)


def userland(arch):
    """The root file system for that architecture: the host's, or one of unpacked
    packages."""
    if arch == HOST:
        return Path("/")
    made = subprocess.run([ROOT / "scripts/userland", arch], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        sys.exit(f"error: there are no programs for a guest of {arch}")
    return Path(made.stdout.strip())


def initramfs(boots, root, settings, folder):
    """Makes it in `folder`, and gives the file. `settings` are the variables that
    inside/init reads."""
    tree = folder / "tree"
    for name in ("bin", "dev", "proc", "sys", "modules", "lower", "host", "memory", "root"):
        (tree / name).mkdir(parents=True)
    busybox = root / "bin/busybox"
    if not busybox.exists():
        _install(boots.arch)
    shutil.copy(busybox, tree / "bin/busybox")
    shutil.copy(ROOT / "qemu/inside/init", tree / "init")
    (tree / "settings").write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    )
    if boots.modules:
        for number, module in enumerate(needed(boots.modules)):
            (tree / f"modules/{number:02}-{_stem(module)}.ko").write_bytes(_contents(module))
    names = "\0".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = folder / "initramfs"
    with open(archive, "wb") as file:
        subprocess.run(
            ["cpio", "--create", "--format=newc", "--null", "--quiet", "--owner=0:0"],
            cwd=tree, input=names.encode(), stdout=file, check=True,
        )
    return archive


def _share(tag, path):
    return [
        "-fsdev", f"local,id={tag},path={path},security_model=none,readonly=on,multidevs=remap",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]


def default_memory(kdir):
    return DEBUG_MEMORY if is_debug(kdir) else MEMORY


@contextmanager
def machine(kdir, accel, cpus, memory, command=None, icount=False, threads="single", folder=ROOT,
            leaks=True):
    """The command line that boots the kernel and runs the words of `command` in
    `folder`: its output is on stdout then, the kernel's console on stderr; or a
    shell. It is good in the `with` block."""
    boots = kernel(kdir)
    if boots is None:
        sys.exit(
            f"error: {kdir}: no image of a kernel\n"
            f"       'make run' and 'make test' boot a kernel: KDIR must be a built tree"
        )
    emulator = EMULATORS[boots.arch]
    if not shutil.which(emulator["command"][0]):
        _install(boots.arch)

    root = userland(boots.arch)
    modules = str(boots.modules.resolve()) if boots.modules else ""
    # What the guest needs of the host if its root file system is not the host's.
    shared = [] if root == Path("/") else [
        str(path) for path in (ROOT, CACHE, "/tmp", modules, folder) if path
    ]
    columns, lines = shutil.get_terminal_size()
    settings = {
        "folder": str(folder),
        "greeting": os.environ.get("GREETING", ""),
        "columns": str(columns),
        "lines": str(lines),
        "command": shlex.join(command) if command else "",
        "modules": modules,
        "shared": shlex.join(shared),
        "shellrc": str(ROOT / "qemu/inside/shellrc"),
    }
    args = [*emulator["command"], "-smp", str(cpus), "-m", memory]
    args += ["-nodefaults", "-display", "none", "-no-reboot", "-device", "virtio-rng-pci"]
    if accel == "kvm":
        args += ["-accel", "kvm", "-cpu", "host"]
    else:
        # One thread for all CPUs: with a thread for each, QEMU 7.2 runs stale
        # code where another CPU has just patched it, and a kernel that arms a
        # probe under fire jumps to nowhere, with or without this project.
        args += ["-accel", f"tcg,thread={threads}"]
        if icount:
            # The guest's clock counts instructions, one a nanosecond.
            args += ["-icount", "shift=0,sleep=off"]
    args += _share("root", root)
    if root != Path("/"):
        args += _share("host", "/")
    if command:
        args += ["-chardev", "file,id=output,path=/proc/self/fd/1", "-device", "virtio-serial-pci",
                 "-device", "virtserialport,name=output,chardev=output"]
        args += ["-chardev", "file,id=console,path=/proc/self/fd/2"]
    else:
        args += ["-chardev", "stdio,id=console,signal=off"]
    args += ["-serial", "chardev:console"]
    # What the kernel tells of a boot that goes well takes seconds on a serial
    # line; inside/init turns the rest on.
    words = [*emulator["append"], "panic=-1", f"loglevel={6 if command else 4}"]
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
        # The per-CPU sheaves of SLUB keep the addresses of what they gave out,
        # which to kmemleak are references: it finds no leak. A cache that is
        # debugged, here for consistency, has no sheaves. By itself that would
        # stop %p from being hashed.
        words += ["slab_debug=F", "hash_pointers=always"]
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-boot-") as name:
        archive = initramfs(boots, root, settings, Path(name))
        yield [*args, "-kernel", str(boots.image), "-initrd", str(archive), "-append", " ".join(words)]
