# SPDX-License-Identifier: GPL-2.0
"""Tests what scripts/stock refuses, and that it names the reason. None of these gets
as far as a build. Each has its own cache, with the package lists of this machine."""
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import kernels

RELEASE = "7.2.99+deb13-amd64"


def command(cache, name, *arguments, scripts=kernels.ROOT / "scripts", timeout=None, **env):
    """Runs a script, or make."""
    kept = {k: v for k, v in os.environ.items()
            if k not in ("ARCH", "KDIR", "KERNEL", "STOCK", "MAKEFLAGS")}
    return subprocess.run(
        [name if name == "make" else scripts / name, *arguments], cwd=kernels.ROOT,
        env={**kept, **env, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
    )


def refused(found, *words):
    assert found.returncode != 0, f"it was taken:\n{found.stdout}"
    for word in words:
        assert re.search(word, found.stdout), f"no {word!r} in:\n{found.stdout}"


def headers(folder, bench, **changes):
    """Just what scripts/stock reads of Debian's headers: of the workbench
    kernel's configuration, with changes."""
    config = (Path(bench.kdir) / ".config").read_text()
    for name, value in changes.items():
        config = re.sub(rf"^(# )?CONFIG_{name}[= ].*\n", "", config, flags=re.MULTILINE)
        config += f"CONFIG_{name}={value}\n" if value else f"# CONFIG_{name} is not set\n"
    for path, text in {
        ".config": config,
        "Makefile": "",
        "Module.symvers": "",
        "include/config/auto.conf": "".join(re.findall(r"^CONFIG_.*\n", config, re.MULTILINE)),
        "include/config/kernel.release": f"{RELEASE}\n",
        "include/generated/package.h": '#define LINUX_PACKAGE_ID " Debian 7.2.99-1~bpo13+1"\n',
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def in_root(folder):
    """A build with the tools of a stock kernel finds links, and files beside the module, also
    with the PATH of a user who is not root."""
    rootfs = folder / "root"
    for tool in map(shutil.which, ("env", "cat")):
        linked = subprocess.check_output(["ldd", tool], text=True)
        for path in (tool, *re.findall(r"/\S+", linked)):
            to = rootfs / "usr/bin" / Path(path).name if path == tool else rootfs / path[1:]
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-", dir="/var/tmp") as at:
        module = Path(at) / "module"
        module.mkdir()
        (Path(at) / "common").write_text("found\n")
        (module / "linked").symlink_to("../common")
        (Path(at) / "link").symlink_to("module")
        found = subprocess.run(
            [kernels.ROOT / "scripts/in-root", rootfs, f"{at}/link", "--",
             "cat", f"{at}/link/linked", f"{at}/module/../common", "linked"],
            env={**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin", "CDPATH": "."},
            cwd=f"{at}/link", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert found.returncode == 0 and found.stdout == "found\n" * 3, found.stdout


def run(bench, results):
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        cache, tree = Path(name) / "cache", Path(name) / "headers"
        (cache / "rust_kprobe").mkdir(parents=True)
        (kernels.CACHE / "apt").mkdir(exist_ok=True)
        (cache / "rust_kprobe/apt").symlink_to(kernels.CACHE / "apt")
        lacks = f"the mirror has no linux-headers-{re.escape(RELEASE)}"

        def changes():
            """What may not change is refused, by the kernel's own diffconfig."""
            packaged = Path(name) / "packaged"
            for changed, wanted in (
                ({"GCC_VERSION": "140299"}, ""),
                ({"RANDSTRUCT_FULL": "y"}, "RANDSTRUCT_FULL"),
                ({"KPROBES": None}, " KPROBES y -> n\n"),
                ({"BINDGEN_VERSION_TEXT": '"x"'}, "BINDGEN_VERSION_TEXT"),
            ):
                shutil.copy(headers(tree, bench) / ".config", packaged)
                made = headers(tree, bench, **changed) / ".config"
                text = f". {kernels.ROOT}/scripts/lib.sh; . {kernels.ROOT}/scripts/mirror.sh; "
                found = subprocess.check_output(
                    ["bash", "-c", f"{text} config_changes {bench.kdir}/source {packaged} {made}"],
                    text=True)
                assert wanted in found and bool(found) == bool(wanted), (changed, found)

        def other_rustc():
            headers(tree, bench, RUSTC_VERSION_TEXT='"rustc 1.84.9 (of no suite)"',
                    GCC_VERSION="140200")
            for words in (("stock", "headers", tree), ("build",)):
                made = command(cache, *words, KDIR=str(tree))
                refused(made, r"built by rustc 1\.84\.9", r"1\.85\.\S+ in trixie",
                        r"no suite of the mirror has rustc 1\.84\.9")
                assert "unpacking" not in made.stdout, made.stdout

        def no_release():
            refused(command(cache, "stock", "build", RELEASE), lacks, r"it has: .*\+deb\d+-amd64")

        def default():
            """What builds a user's module takes a stock kernel, without KERNEL."""
            for words in (["build", "-C", "samples"], ["make", "rust-analyzer", "MODULE=samples"],
                          ["make", "run", "SAMPLE=latency"], ["make", "modules"]):
                refused(command(cache, *words, STOCK=RELEASE), lacks)

        def no_series():
            scripts = Path(name) / "scripts"
            shutil.copytree(kernels.ROOT / "scripts", scripts)
            (scripts / "kernels").write_text("6.99 trixie-backports sid\n")
            refused(command(cache, "stock", "build", scripts=scripts), "no stock kernel for amd64",
                    r"scripts/kernels has: 6\.99", r"the mirror has: .*\+deb\d+-amd64")

        def ready():
            """While another run makes another one."""
            mine = Path(name) / "ready"
            folder = mine / "rust_kprobe/stock" / RELEASE
            for file in ("headers/packaged", "build/Makefile", "build.key"):
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text("")
            (folder / "source").write_text("/elsewhere/linux-7.2.99\n")
            (folder / "build/source").symlink_to(mine / "rust_kprobe/src/linux-7.2.99")
            (mine / "rust_kprobe/locks").mkdir()
            with open(mine / "rust_kprobe/locks/stock-amd64", "w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                found = command(mine, "stock", "build", RELEASE, timeout=20)
                assert found.stdout == f"{folder}/build\n", found.stdout

        def no_rust():
            headers(tree, bench, RUST=None)
            refused(command(cache, "build", KDIR=str(tree)), "CONFIG_RUST is off")

        def explained():
            headers(tree, bench)
            found = command(cache, "doctor", tree)
            assert found.returncode == 0 and f"make KDIR={tree}" in found.stdout, found.stdout
            assert not (cache / "rust_kprobe/stock").exists(), "the doctor made something"

        for what, test in {
            "the tools' root has the files of the machine": lambda: in_root(Path(name)),
            "the doctor explains headers without metadata": explained,
            "a configuration that did not survive": changes,
            "a rustc that no suite has": other_rustc,
            "a release that the mirror does not have": no_release,
            "the default of what builds a user's module": default,
            "no supported series on the mirror": no_series,
            "a kernel that is ready waits for no other run": ready,
            "headers of a kernel without Rust": no_rust,
        }.items():
            results.run(f"stock: {what}", test)
