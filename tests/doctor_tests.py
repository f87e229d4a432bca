# SPDX-License-Identifier: GPL-2.0
"""Tests that doctor names what is missing, and how to fix it."""
import os
import shutil
import tempfile
from pathlib import Path

import kernels
from build_tests import clone
from workbench import output


def doctor(*words, cwd=kernels.ROOT, **env):
    """Runs `make doctor` with that environment; None removes a variable."""
    mine = {k: v for k, v in os.environ.items() if k not in ("KDIR", "KERNEL", "KPROBES_LOCKED")}
    return output(["make", "-s", "doctor", *words], cwd,
                  {k: v for k, v in (mine | env).items() if v is not None})


def seen(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def changes_nothing(folder):
    """The clone, a cache, a home and the machine's packages stay as they are."""
    place, home, cache = folder / "clone", folder / "home", folder / "cache"
    clone(place)
    home.mkdir()
    dpkg = Path("/var/lib/dpkg/status").stat().st_mtime_ns
    before = seen(folder)
    # rustup always creates its own folder.
    rustup = os.environ.get("RUSTUP_HOME", f"{Path.home()}/.rustup")
    for env in ({"KERNEL": "workbench"}, {"KERNEL": "stock"}, {"KERNEL": "debug"},
                {"KERNEL": "stock", "ARCH": "arm64"}):
        found = doctor(cwd=place, HOME=str(home), XDG_CACHE_HOME=str(cache), RUSTUP_HOME=rustup,
                       **env)
        assert found.returncode == 0 and "to make  no " in found.stdout, found.stdout
    assert seen(folder) == before and not cache.exists()
    assert Path("/var/lib/dpkg/status").stat().st_mtime_ns == dpkg


def places(folder):
    spaced = folder / "my clone"
    clone(spaced)
    (folder / "file").write_text("")
    for reason, env in (
        ("does not support a space in a folder name", {"cwd": spaced}),
        ("cannot be written", {"XDG_CACHE_HOME": str(folder / "file/cache")}),
        ("neither HOME nor XDG_CACHE_HOME is set", {"HOME": None, "XDG_CACHE_HOME": None}),
        ("not an absolute path", {"XDG_CACHE_HOME": "cache"}),
    ):
        found = doctor(**env)
        assert found.returncode != 0 and reason in found.stdout, found.stdout


def put(folder, **programs):
    """Writes shell scripts; returns an environment that prefers them to the cache's programs."""
    for name, lines in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name).chmod(0o755)
    path = os.environ["PATH"].replace(f"{kernels.CACHE}/bin:", "")
    return {"PATH": f"{folder}:{path}", "XDG_CACHE_HOME": str(folder / "cache")}


# rustup without a default toolchain.
NO_RUSTC = "echo 'error: rustup could not choose a version of rustc to run' >&2; exit 1"


def without_root(folder):
    """An unprivileged user's PATH lacks chroot, which the tools of a stock kernel need."""
    env = {"KERNEL": "stock", "XDG_CACHE_HOME": str(folder / "cache")}
    found = doctor(PATH="/usr/local/bin:/usr/bin:/bin", **env)
    assert found.returncode == 0 and "MISSING" not in found.stdout, found.stdout
    found = doctor(KERNEL="stock", **put(folder, unshare="exit 1"))
    assert found.returncode != 0, found.stdout
    for text in ("cannot mount anything on this machine", "or allow user namespaces by"):
        assert text in found.stdout, found.stdout


def run(bench, results):
    for what, test in {
        "make doctor changes nothing": changes_nothing,
        "unusable folders are reported": places,
        "missing permissions to mount are reported": without_root,
    }.items():
        with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
            results.run(f"doctor: {what}", lambda: test(Path(name)))

    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        tree = Path(name) / "kdir"
        rustc, bindgen = Path(name) / "rustc", Path(name) / "bindgen"
        rustc.mkdir()
        bindgen.mkdir()

        def fresh():
            """A tree with all files that doctor reads of a kernel."""
            shutil.rmtree(tree, ignore_errors=True)
            for path in ("Makefile", "include/config/auto.conf", "include/config/kernel.release",
                         "Module.symvers", "scripts/mod/modpost", "rust/libcore.rmeta",
                         "rust/libkernel.rmeta", "rust/libbindings.rmeta", "rust/libmacros.so"):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(Path(bench.kdir) / path, tree / path)

        def option(name, value):
            conf = tree / "include/config/auto.conf"
            lines = [line for line in conf.read_text().splitlines()
                     if not line.startswith(f"CONFIG_{name}=")]
            conf.write_text("\n".join([*lines, f"CONFIG_{name}={value}" if value else "", ""]))

        def good():
            # doctor finds the cache's bindgen, which `make run` uses, also without PATH.
            path = os.environ["PATH"].replace(f"{kernels.CACHE}/bin:", "")
            fresh()
            for kdir in (bench.kdir, tree):
                found = doctor(f"KDIR={kdir}", PATH=path)
                assert found.returncode == 0, found.stdout
                assert found.stdout == f"modules can be built for {kdir}\n", found.stdout

        def finds(break_it, *words, **env):
            def test():
                fresh()
                break_it()
                found = doctor(f"KDIR={tree}", **env)
                assert found.returncode, f"no problem was reported:\n{found.stdout}"
                for word in words:
                    assert word in found.stdout, f"no {word!r} in:\n{found.stdout}"
                # A build fails there, before it builds anything.
                build = output(["scripts/build"], env={**os.environ, **env, "KDIR": str(tree)})
                assert build.returncode == 1 and "MISSING" in build.stdout, build.stdout
                assert "RUSTC" not in build.stdout, build.stdout
            return test

        results.run("doctor: a suitable kernel passes", good)
        for what, test in {
            "a folder without a kernel is reported": finds(
                lambda: (tree / "Makefile").unlink(), "not a kernel build folder", "set KDIR to"),
            "a kernel without Rust is reported": finds(
                lambda: option("RUST", None), "CONFIG_RUST is off", "make run"),
            "a kernel without PREEMPT_COUNT is reported": finds(
                lambda: option("PREEMPT_COUNT", None), "CONFIG_PREEMPT_COUNT is off",
                "CONFIG_PREEMPT_LAZY"),
            "a different rustc is reported": finds(
                lambda: option("RUSTC_VERSION_TEXT", '"rustc 1.85.0 (4d91de4e4 2025-02-17)"'),
                "but 'rustc 1.85.0", "rustup toolchain install 1.85.0"),
            "rustup without a toolchain is reported": finds(
                lambda: None, "rustc does not run: error: rustup could not", "rustup default 1.",
                **put(rustc, rustc=NO_RUSTC)),
            # Like bindgen with LLVM 22.
            "a bindgen older than its libclang is reported": finds(
                lambda: None, "bindgen 0.71.1 does not support", "LLVM 22 needs bindgen 0.72.1",
                **put(bindgen, bindgen="[ $1 = --version ] && echo bindgen 0.71.1 || "
                                       "echo 'pub struct S { pub _address: u8 }'")),
            "a missing libclang is reported": finds(
                lambda: None, "bindgen finds no libclang", "LIBCLANG_PATH",
                LIBCLANG_PATH="/nonexistent"),
        }.items():
            results.run(f"doctor: {what}", test)
