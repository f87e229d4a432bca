# SPDX-License-Identifier: GPL-2.0
"""Tests what scripts/stock refuses, and that it names the reason. None of these gets
as far as a build. Each has its own cache, with the package lists of this machine."""
import fcntl
import hashlib
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
    kept = {k: v for k, v in os.environ.items() if k not in ("ARCH", "KDIR", "KERNEL", "STOCK", "MAKEFLAGS")}
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


def root_with(folder, *tools):
    """A root file system with nothing but these programs."""
    for tool in map(shutil.which, tools):
        linked = subprocess.run(["ldd", tool], stdout=subprocess.PIPE, text=True, check=True).stdout
        for path in (tool, *re.findall(r"/\S+", linked)):
            to = folder / ("usr" + path if path == f"/bin/{Path(path).name}" else path.lstrip("/"))
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)
    return folder


def in_root(name):
    """A build with the tools of a stock kernel finds links, and files beside the module, also
    with the PATH of a user who is not root."""
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-", dir="/var/tmp") as at:
        module = Path(at) / "module"
        module.mkdir()
        (Path(at) / "common").write_text("found\n")
        (module / "linked").symlink_to("../common")
        (Path(at) / "link").symlink_to("module")
        found = subprocess.run(
            [kernels.ROOT / "scripts/in-root", root_with(Path(name) / "root", "env", "cat"), f"{at}/link", "--",
             "cat", f"{at}/link/linked", f"{at}/module/../common", "linked"],
            cwd=f"{at}/link", env={**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin", "CDPATH": "."},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert found.returncode == 0 and found.stdout == "found\n" * 3, found.stdout


def run(bench, results):
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        cache, tree = Path(name) / "cache", Path(name) / "headers"
        (cache / "rust_kprobe").mkdir(parents=True)
        (kernels.CACHE / "apt").mkdir(exist_ok=True)
        (cache / "rust_kprobe/apt").symlink_to(kernels.CACHE / "apt")

        def compare(changes, *words):
            def test():
                packaged = headers(tree, bench) / ".config"
                shutil.copy(packaged, Path(name) / "packaged")
                made = headers(tree, bench, **changes) / ".config"
                found = command(cache, "compare-config", Path(name) / "packaged", made)
                if words:
                    refused(found, *words)
                else:
                    assert found.returncode == 0, found.stdout
            return test

        def other_rustc():
            headers(tree, bench, RUSTC_VERSION_TEXT='"rustc 1.84.9 (of no suite)"', GCC_VERSION="140200")
            for made in (command(cache, "stock", "headers", tree), command(cache, "build", KDIR=str(tree))):
                refused(made, r"built by rustc 1\.84\.9", r"no suite of the mirror has rustc 1\.84\.9",
                        r"1\.85\.\S+ in trixie")
                assert "unpacking" not in made.stdout, made.stdout

        def no_release():
            refused(command(cache, "stock", "build", RELEASE), f"the mirror has no linux-headers-{re.escape(RELEASE)}",
                    r"it has: .*\+deb\d+-amd64")

        def default():
            """What builds a user's module takes a stock kernel, without KERNEL."""
            for words in (["build", "-C", "samples"], ["make", "rust-analyzer", "MODULE=samples"],
                          ["make", "run", "SAMPLE=latency"], ["make", "modules"]):
                refused(command(cache, *words, STOCK=RELEASE), f"the mirror has no linux-headers-{re.escape(RELEASE)}")

        def no_series():
            scripts = Path(name) / "scripts"
            shutil.copytree(kernels.ROOT / "scripts", scripts)
            (scripts / "kernels").write_text("6.99 1 1 trixie-backports sid\n")
            refused(command(cache, "stock", "build", scripts=scripts), "no stock kernel for amd64",
                    r"scripts/kernels has: 6\.99", r"the mirror has: .*\+deb\d+-amd64")

        def ready():
            """While another run makes another one."""
            mine = Path(name) / "ready"
            folder = mine / "rust_kprobe/stock" / RELEASE
            parts = [folder / "headers" / part for part in (".config", "Module.symvers", "package.h")]
            for file in (*parts, folder / "headers/packaged", folder / "build/Makefile"):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("")
            (folder / "source").write_text("/elsewhere/linux-7.2.99\n")
            (folder / "build/source").symlink_to(mine / "rust_kprobe/src/linux-7.2.99")
            scripts = [kernels.ROOT / "scripts" / part for part in ("stock", "debian-root", "compare-config")]
            key = hashlib.sha256(b"".join(file.read_bytes() for file in (*scripts, *parts)))
            (folder / "build.key").write_text(f"{key.hexdigest()}  -\n")
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

        results.run("stock: the tools' root has the files of the machine", lambda: in_root(name))
        results.run("stock: the doctor explains headers without metadata", explained)
        results.run("stock: another revision of the compiler is taken", compare({"GCC_VERSION": "120299"}))
        results.run("stock: a configuration that changes a struct is refused",
                    compare({"RANDSTRUCT_FULL": "y"}, "CONFIG_RANDSTRUCT_FULL: off in the packaged kernel, y here"))
        results.run("stock: a configuration that lost an option is refused",
                    compare({"KPROBES": None}, "CONFIG_KPROBES: y in the packaged kernel, off here"))
        results.run("stock: another compiler is refused",
                    compare({"GCC_VERSION": "990100"}, "gcc 99 is here"))
        results.run("stock: a rustc that no suite has", other_rustc)
        results.run("stock: a release that the mirror does not have", no_release)
        results.run("stock: the default of what builds a user's module", default)
        results.run("stock: no supported series on the mirror", no_series)
        results.run("stock: a kernel that is ready waits for no other run", ready)
        results.run("stock: headers of a kernel without Rust", no_rust)
