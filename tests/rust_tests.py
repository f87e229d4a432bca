# SPDX-License-Identifier: GPL-2.0
"""Compiles programs that must not compile, the documentation's examples, and another module."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import kernels
from commands_tests import readme_blocks
from workbench import output

ROOT = kernels.ROOT
CONSUMER = "tests/consumer/Kbuild", "tests/consumer/consumer.rs"

# What `module!` of Linux 7.3 generates, without init and exit.
LOCAL_MODULE = """
/// This module.
pub struct LocalModule;

#[cfg(kprobes_linux_7_3)]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"local";
    const THIS_MODULE: kernel::ThisModule = {
        unsafe extern "C" {
            static __this_module: kernel::types::Opaque<kernel::bindings::module>;
        }
        // SAFETY: The kernel creates it when it loads the module.
        unsafe { kernel::ThisModule::from_ptr(__this_module.get()) }
    };
}
"""

@contextmanager
def elsewhere(*copied):
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        folder = Path(name).resolve() / "elsewhere"
        folder.mkdir()
        for path in copied:
            shutil.copy2(ROOT / path, folder)
        yield folder


def compile_each(bench, folder, names):
    """Compiles each NAME.rs there as a module's crate root; the compiler's messages, or none."""
    headers = ""
    for name in names:
        with open(folder / f"{name}.rs", "r+", encoding="utf-8") as source:
            text = source.read()
            # `#[vtable]` of Linux 7.3 needs what `module!` generates.
            if "\nmodule! {" not in text:
                source.write(LOCAL_MODULE)
            if "c_structs!" in text:
                headers += f"{name}-headers := linux/fs.h net/sock.h\n"
    (folder / "Kbuild").write_text(
        f"obj-m := {' '.join(n + '.o' for n in names)}\n"
        f"kprobes-modules := {' '.join(names)}\n"
        f"{headers}include {ROOT}/src/kprobes.mk\n"
        + "".join(f"RUSTFLAGS_{n}_main.o += $(kprobes-cfg)\n" for n in names)
    )
    run = bench.make(folder, "-k", "-j1", *(f"{n}_main.o" for n in names))
    messages = dict.fromkeys(names)
    for part in re.split(r"^(?=  RUSTC \[M\] )", run.stdout, flags=re.MULTILINE):
        head = re.match(r"  RUSTC \[M\] (\S+)_main\.o", part)
        if head and head[1] in messages:
            done = (folder / f"{head[1]}_main.o").exists()
            messages[head[1]] = "" if done else part
    return messages


def errors(messages, name):
    """The errors of NAME.rs in rustc's messages: the line and text of each."""
    found = re.findall(r"^error(?:\[E\d+\])?: (.*)\n *--> (?:.*/)?(\S+):(\d+):\d+$", messages,
                       re.MULTILINE)
    return [(int(line) if file == f"{name}.rs" else file, text) for text, file, line in found]


def at_their_lines(messages, source):
    """Compares a program's errors with its comments: `//~ TEXT` is an error in that line, `//~^
    TEXT` in the line before, `// error: TEXT` in the library. `// note: TEXT` is a note. There
    must be no other errors."""
    lines = source.read_text().splitlines()
    wanted = [(number - text.startswith("^"), text.removeprefix("^").strip())
              for number, line in enumerate(lines, 1) for text in line.split("//~")[1:]]
    wanted += [(None, line.removeprefix("// error: ")) for line in lines
               if line.startswith("// error: ")]
    got = errors(messages, source.stem)

    def is_of(error, wish):
        # The message may have line breaks, and rustc may qualify a type's name.
        text = " ".join(error[1].split())
        text = re.sub(r"\b(kprobes|core::marker|kernel::transmute)::", "", text)
        return wish[0] in (error[0], None) and wish[1] in text

    return (
        [f"wanted in line {n}: {text}" for n, text in wanted
         if not any(is_of(error, (n, text)) for error in got)]
        + [f"not wanted in line {n}: {text}" for n, text in got
           if not any(is_of((n, text), wish) for wish in wanted)]
        + [f"no note: {line.removeprefix('// note: ')}" for line in lines
           if line.startswith("// note: ")
           and not re.search(f"= note: .*{re.escape(line.removeprefix('// note: '))}", messages)]
    )


def must_not_compile(bench, results):
    sources = sorted((ROOT / "tests/compile_fail").glob("*.rs"))
    with elsewhere(*sources) as folder:
        messages = compile_each(bench, folder, [s.stem for s in sources])
        # build_assert!() leaves an undefined symbol, so only linking fails.
        for source in sources:
            unlinkable = folder / f"{source.stem}_main.o"
            if unlinkable.exists():
                symbols = subprocess.check_output(["nm", "-u", unlinkable], text=True)
                if "rust_build_error" in symbols:
                    messages[source.stem] = (f"error: rust_build_error\n"
                                             f" --> {unlinkable.name}:1:1\n")
    for source in sources:
        got = messages[source.stem]
        title = f"compile_fail: errors in {source.name} are as marked"
        if got is None:
            results.add(False, title, ["it was not compiled"])
        else:
            wrong = at_their_lines(got, source)
            if got and not errors(got, source.stem):
                wrong.append("no error of the compiler in:")
            results.add(not wrong, title, [*wrong, *got.splitlines()[:30]])


# A struct in LAYOUT, and the other members at the compiler's second run.
LAYOUT = """
struct t { int x; };
struct u { int x; };
struct s { int a; _Bool flag; unsigned bits : 3, more : 4; int negative : 4; struct t *p; };
"""
OTHERWISE = {
    "an offset": ("int a;", "int a, b;"),
    "a size": ("_Bool flag;", "short flag;"),
    "a sign": ("int a;", "unsigned a;"),
    "a bool": ("_Bool flag;", "unsigned char flag;"),
    "the size of a struct": ("*p; };", "*p; int last; };"),
    "the struct behind a pointer": ("struct t *p", "struct u *p"),
    "the place of a bit field": ("bits : 3, more : 4", "bits : 4, more : 4"),
    "the sign of a bit field": ("int negative", "unsigned negative"),
}

def confirmed(results):
    """Runs fields.py with a compiler that does not confirm the first layout of the structs."""
    with elsewhere() as folder:
        (folder / "m.rs").write_text("c_structs!(c); c::s field!(s, a); field!(s, flag);"
                                     "field!(s, more); field!(s, negative); field!(s, p);")
        compiler = folder / "cc"
        compiler.write_text('#!/bin/sh\nfor last; do :; done\n'
                            '! grep -q _Static_assert "$last" || set -- -DAGAIN "$@"\n'
                            'exec gcc -O2 "$@"\n')
        compiler.chmod(0o755)

        def build(again):
            (folder / "m.h").write_text(
                f"#ifdef AGAIN\n{again}\n#else\n{LAYOUT}\n#endif\n")
            return output([ROOT / "src/fields.py", "m_fields.rs", "m.rs", "m.h", "m.d", "readelf",
                           compiler], folder)

        made = build(LAYOUT)
        results.add(made.returncode == 0, "fields: a matching struct layout is accepted",
                    made.stdout.splitlines())
        for what, change in OTHERWISE.items():
            (folder / "m_fields.rs").unlink(missing_ok=True)
            made = build(LAYOUT.replace(*change))
            results.add(made.returncode != 0 and "layout differs from" in made.stdout
                        and not (folder / "m_fields.rs").exists(),
                        f"fields: {what} that differs in the compiler is refused",
                        made.stdout.splitlines())


def examples():
    for source in sorted((ROOT / "src").rglob("*.rs")):
        code, start, take = None, 0, False
        for number, line in enumerate(source.read_text().splitlines(), 1):
            text = re.match(r"\s*//[/!] ?(.*)", line)
            if not text:
                code = None
            elif text[1].startswith("```"):
                if code is None:
                    code, start, take = [], number, text[1] == "```"
                else:
                    if take:
                        yield f"{source.relative_to(ROOT)}:{start}", "\n".join(code)
                    code = None
            elif code is not None:
                code.append(re.sub(r"^#( |$)", "", text[1]))


def documentation(bench, results):
    # The first block is a module.
    found = [("README.md", readme_blocks("rust")[0])] + [
        (place, "//! An example.\n"
                "#![allow(dead_code, missing_docs, unreachable_pub, unused)]\n"
                'const __LOG_PREFIX: &[u8] = b"example\\0";\n'
                f"pub fn example() {{\n{code}\n}}\n") for place, code in examples()]
    with elsewhere() as folder:
        for number, (_, code) in enumerate(found):
            (folder / f"example{number}.rs").write_text(code)
        messages = compile_each(bench, folder, [f"example{n}" for n in range(len(found))])
    for number, (place, _) in enumerate(found):
        got = messages[f"example{number}"]
        results.add(got == "", f"doc: example {place} compiles", (got or "").splitlines()[:30])
    results.add(len(found) >= 4, "doc: the documentation has examples")


def consumer(bench, results):
    with elsewhere(*CONSUMER) as folder:
        build = bench.make(folder, KPROBES=str(ROOT))
        results.add(build.returncode == 0, "consumer: a module outside of the project is built",
                    build.stdout.splitlines()[-20:])
        if build.returncode != 0:
            return
        # The module looks for this comm.
        trigger = "printf consumer >/proc/$$/comm; /bin/mkdir /tmp/new; trap : USR1; kill -USR1 $$"
        outcome = bench.run(["qemu/inside/show", str(folder / "consumer.ko"), trigger, "0", "0"],
                            limit=120)
    lines = outcome.output.splitlines()

    def said(name, line):
        results.add(lines.count(line) == 1, f"consumer: {name}", [f"no {line!r} in:", *lines])

    said("a probe at an offset is hit", "consumer: mkdir is inside")
    said("a tracepoint reads a field of a struct",
         "consumer: consumer sends signal 10, to itself: true")
    said("an argument in user memory is read", "consumer: consumer becomes /bin/mkdir")
    results.verdict("consumer", outcome)


def links(bench, results):
    """The guide links to every page of the documentation. rustdoc reports dead links."""
    with elsewhere(*CONSUMER) as folder:
        build = bench.make(folder, "modules", KPROBES=str(ROOT), KPROBES_DOC="1")
        results.add(build.returncode == 0 and "warning" not in build.stdout,
                    "doc: rustdoc builds without a warning", build.stdout.splitlines()[-20:])
        if build.returncode != 0:
            return
        doc = folder / "kprobes/doc"

        def links_of(page):
            return set(re.findall(r'href="([^"]*)"', (doc / "kprobes" / page).read_text()))

        guide = links_of("guide/index.html")
        led = {link.removeprefix("../").partition("#")[0] for link in guide}
        items = {link for link in links_of("all.html")
                 if re.match(r"(\w+/)*(struct|enum|trait|macro|fn|type|constant)\.", link)}
        samples = {f"samples/{path.stem}/index.html" for path in (ROOT / "samples").glob("*.rs")}
        missing = (items | samples) - led
        results.add(not missing and len(items) > 30, "doc: the guide links every item and sample",
                    sorted(missing))


def editor(bench):
    """rust-project.json has the library and a module of another folder."""
    with elsewhere(*CONSUMER) as folder:
        made = output(["make", "-s", "rust-analyzer", f"MODULE={folder}", f"KDIR={bench.kdir}"],
                      env={**os.environ, "KPROBES": str(ROOT)})
        assert made.returncode == 0, made.stdout[-3000:]
        crates = json.loads((folder / "rust-project.json").read_text())["crates"]
        names = [crate["display_name"] for crate in crates]
        # The crates after the kernel's.
        assert names[-2:] == ["kprobes", "consumer"], names
        for crate in crates:
            assert Path(crate["root_module"]).exists(), crate["root_module"]
        library, user = crates[-2:]
        assert Path(library["root_module"]) == ROOT / "src/kprobes.rs"
        assert Path(library["env"]["KPROBES_BINDINGS"]).exists()
        assert {"kprobes", "kernel"} <= {names[dep["crate"]] for dep in user["deps"]}, user
        fields = folder / "kprobes/consumer_fields.rs"
        assert Path(user["env"]["KPROBES_FIELDS"]) == fields and fields.exists(), user


def run(bench, results):
    consumer(bench, results)
    if not bench.own:
        results.say("# rust: only the consumer; the other tests do not depend on the kernel")
        return
    must_not_compile(bench, results)
    confirmed(results)
    documentation(bench, results)
    links(bench, results)
    results.run("editor: rust-project.json covers a module elsewhere", lambda: editor(bench))
