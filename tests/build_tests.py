# SPDX-License-Identifier: GPL-2.0
"""Tests builds against distributions' headers, and that a change rebuilds only what it must."""
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import kernels
from workbench import output

ROOT = kernels.ROOT


def headers_tree(kdir, tree):
    """Makes a tree with the files of Arch's linux-headers: no sources, no rust/Makefile."""
    source = (Path(kdir) / "source").resolve()
    tree.mkdir()

    def copy(base, *names):
        for name in names:
            if (base / name).exists():
                destination = tree / name
                destination.parent.mkdir(parents=True, exist_ok=True)
                command = ["cp", "-a", "--no-target-directory", base / name, destination]
                subprocess.run(command, check=True)

    copy(source, "Makefile", "Kconfig", "Kbuild", "scripts", "include", "arch/x86/include",
         "arch/x86/Makefile", "arch/x86/Makefile_32.cpu", "arch/x86/Makefile.postlink")
    for kconfig in source.rglob("Kconfig*"):
        copy(source, str(kconfig.relative_to(source)))
    for made in ("scripts", "include", "arch/x86/include"):
        subprocess.run(["cp", "-a", "-T", f"{kdir}/{made}", tree / made], check=True)
    copy(Path(kdir), ".config", "Module.symvers", "System.map", "tools/objtool/objtool")
    (tree / "rust").mkdir(exist_ok=True)
    for name in list(Path(kdir, "rust").glob("*.rmeta")) + list(Path(kdir, "rust").glob("*.so")):
        shutil.copy2(name, tree / "rust")


def clone(folder):
    """Copies the files that git knows, with uncommitted changes."""
    files = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    folder.mkdir()
    for name in filter(None, files.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # A concurrent build may have removed the file.
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(ROOT / name, folder / name)


def build(folder, kdir):
    """Builds there. Returns make's steps, without folder names."""
    run = output(["scripts/build"], folder, {**os.environ, "KDIR": str(kdir)})
    assert run.returncode == 0, run.stdout[-3000:]
    steps = set()
    for line in run.stdout.splitlines():
        words = line.replace("[M]", "").split()
        if len(words) == 2 and words[0].isupper():
            steps.add(f"{words[0]} {Path(words[1]).name}")
    return steps


LINK = {"LD rust_kprobe.o", "MODPOST Module.symvers", "LD rust_kprobe.ko"}
LIBRARY = {"RUSTC kprobes.o"}
MODULE = {"RUSTC rust_kprobe_main.o"}
FIELDS = {"FIELDS rust_kprobe_fields.rs"}
HELPERS = {"AR helpers.a"} | {
    f"CC {source.stem}.o"
    for source in (ROOT / "src").glob("**/*.c")
}


def run(bench, results):
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        tree, folder = Path(name) / "headers", Path(name) / "clone"
        headers_tree(bench.kdir, tree)
        clone(folder)

        def files():
            return {path for path in folder.rglob("*") if path.is_file()}

        before = files()

        def headers_only():
            assert not (tree / "rust/Makefile").exists()
            assert not list(tree.glob("kernel/**/*.c")) and not list(tree.glob("rust/**/*.rs"))
            build(folder, tree)
            assert (folder / "rust_kprobe.ko").exists()

        def rebuilds(change, *expected):
            def test():
                change()
                steps = build(folder, tree)
                wanted = set().union(*expected)
                assert steps == wanted, (
                    f"built without need: {sorted(steps - wanted)}\n"
                    f"not built: {sorted(wanted - steps)}"
                )
                again = build(folder, tree)
                assert not again, f"rebuilt without a change: {sorted(again)}"

            return test

        def remove(path):
            return (folder / path).unlink

        def edit(path):
            """Changes the content; otherwise the object would be the same."""
            def change():
                with open(folder / path, "a", encoding="utf-8") as file:
                    file.write("\n// changed\n")
            return change

        def read_fields():
            """Reads a field of a struct in the module's own header."""
            kbuild = folder / "Kbuild"
            kbuild.write_text("rust_kprobe-headers := $(src)/own.h\n" + kbuild.read_text())
            (folder / "own.h").write_text("struct own { int field; };\n")
            with open(folder / "rust_kprobe.rs", "a", encoding="utf-8") as file:
                file.write("kprobes::c_structs!(c);\n"
                           "const _: fn(kprobes::nofault::KernelPtr<c::own>) -> Result<i32> =\n"
                           "    |own| kprobes::field!(own, field);\n")

        def touch(path):
            return (tree / path).touch

        def clean():
            (folder / "own.h").unlink()
            made = files()
            subprocess.run(["make", "-s", "clean"], cwd=folder, check=True)
            assert files() == before, files() ^ before
            assert len(made) > len(before) + 40

        results.run("build: the kernel's headers are enough", headers_only)
        for what, test in {
            "nothing is rebuilt without a change": rebuilds(lambda: None),
            "removed bindings are generated again": rebuilds(
                remove("kprobes/bindings_generated.rs"),
                {"BINDGEN bindings_generated.rs"}, LIBRARY, MODULE, LINK),
            "a change of a library file rebuilds its users": rebuilds(
                edit("src/args.rs"), LIBRARY, MODULE, LINK),
            "a change of a module file rebuilds the module": rebuilds(
                edit("rust_kprobe/report.rs"), MODULE, LINK),
            "a change of bindgen's header rebuilds the library": rebuilds(
                edit("src/bindings/probe.h"),
                {"BINDGEN bindings_generated.rs"}, HELPERS, LIBRARY, MODULE, LINK),
            "a change of a C helper rebuilds the helper": rebuilds(
                edit("src/probe/arming.c"), {"CC arming.o", "AR helpers.a"}, LINK),
            "a change of the kernel crate rebuilds all Rust": rebuilds(
                touch("rust/libkernel.rmeta"), LIBRARY, MODULE, LINK),
            "a change of the kernel's configuration rebuilds all": rebuilds(
                touch("include/generated/autoconf.h"),
                {"BINDGEN bindings_generated.rs"}, HELPERS, LIBRARY, MODULE, LINK),
            "use of struct fields generates types": rebuilds(read_fields, FIELDS, MODULE, LINK),
            "a header's change regenerates types": rebuilds(edit("own.h"), FIELDS, MODULE, LINK),
            "a change of the module regenerates types": rebuilds(
                edit("rust_kprobe/report.rs"), FIELDS, MODULE, LINK),
            "a change of the configuration regenerates types": rebuilds(
                touch("include/generated/autoconf.h"),
                {"BINDGEN bindings_generated.rs"}, HELPERS, LIBRARY, FIELDS, MODULE, LINK),
        }.items():
            results.run(f"build: {what}", test)
        results.run("build: make clean removes all that was built", clean)
