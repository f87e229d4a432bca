#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Generates the Rust code behind `field!` and `c_structs!`; see fields.rs.

The layout of the structs is read from debug information, for which the kernel's compiler compiles
the headers with the kernel's flags. Static assertions in C then check the offset, size and
signedness of each member that the module names.

usage: fields.py OUT.rs SOURCE.rs 'HEADERS' DEPFILE READELF CC FLAG...
"""
import difflib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# The limit of KernelPtr::read() in bytes.
MAX_AT_ONCE = 1024


class NoField(Exception):
    """Why a path is not a field of a struct; rustc prints it at the `field!`."""


TEXT = re.compile(r"""//[^\n]*|/\*.*?\*/|[bc]?r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'""",
                  re.DOTALL)


def sources(path, folder):
    """The files of a crate, found by `mod NAME;`, and their text without comments and literals."""
    if not path.exists():
        return
    whole = path.read_text()
    for named, name in re.findall(r'(?:#\[path = "(.+)"\]\s*(?:pub\S*\s+)?)?\bmod\s+(\w+);', whole):
        if named:
            yield from sources(path.parent / named, (path.parent / named).parent)
        else:
            yield from sources(folder / f"{name}.rs", folder / name)
            yield from sources(folder / name / "mod.rs", folder / name)
    yield path, TEXT.sub(" ", whole)


def paths(text):
    """The paths of each `field!(POINTER, PATH)`, without spaces and `r#`."""
    for start in re.finditer(r"\bfield!\s*[(\[{]", text):
        depth, end = 1, start.end()
        while depth and end < len(text):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text[end], 0)
            end += 1
        path = text[start.end():end - 1].rpartition(",")[2]
        yield re.sub(r"\s|r#", "", path)


def structs(text):
    """The structs that the source names: `c::NAME`, `c::{NAME, ...}` after `c_structs!(c)`."""
    for name in re.findall(r"\bc_structs!\s*[(\[{].*?(\w+)\s*[)\]}]", text):
        for group, one in re.findall(rf"\b{name}::(?:\{{([^}}]*)\}}|(?:r#)?(\w+))", text):
            yield from re.findall(r"\w+", group) or [one]


def key(path):
    """The same hash as path() of fields.rs."""
    number = 0xcbf29ce484222325
    for byte in path.encode():
        number = (number ^ byte) * 0x100000001b3 % 2**64
    return number


@dataclass
class Entry:
    """A DWARF entry: its tag, such as `structure_type`, its attributes, and its children."""

    tag: str
    attrs: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    def number(self, attribute):
        return int(self.attrs[attribute].split()[0], 0) if attribute in self.attrs else None


def debug_info(text):
    """Parses the output of readelf. Returns the top-level entries of all units."""
    entries, parents = {}, [Entry("root")]
    line = re.compile(r"^ <(\d+)><(\w+)>: Abbrev Number: \d+ \((?:DW_TAG_)?(.*)\)$"
                      r"|^ +<\w+> +DW_AT_(\w+) *: (?:\([^)]*\):? *)?(.*?)\s*$", re.MULTILINE)
    for depth, offset, tag, attribute, value in line.findall(text):
        if tag:
            entry = entries[int(offset, 16)] = Entry(tag)
            del parents[int(depth) + 1:]
            parents[-1].children.append(entry)
            parents.append(entry)
        else:
            entry.attrs[attribute] = value
    for entry in entries.values():
        if "type" in entry.attrs:
            entry.attrs["type"] = entries[int(re.match("<0x(.*?)>", entry.attrs["type"])[1], 16)]
    return [top for unit in parents[0].children for top in unit.children]


VOID = "__k::c_void"
LONG = {"long int": "isize", "long": "isize", "long unsigned int": "usize",
        "unsigned long": "usize"}


@dataclass
class Type:
    """A type in C and in Rust. The default is a type that cannot be read, such as void.

    `value` is the Rust type of a read. If it is None, `field!` returns a pointer to `pointee`.
    `checks` are assertions in C, in which `@` stands for an expression of this type.
    """

    size: int = 0
    value: str = None
    pointee: str = VOID
    checks: tuple = ()
    # Of an integer.
    signed: bool = False
    is_bool: bool = False
    # Of a pointer; of an array, whose length is 0 if C does not know it.
    to: "Type" = None
    of: "Type" = None
    count: int = 0
    # Of a struct or union: its entry and its name in C.
    entry: Entry = None
    c: str = ""

    def checks_at(self, place):
        return [check.replace("@", place) for check in self.checks]


def bare(entry):
    """`entry` without typedefs and qualifiers; None for void."""
    while entry and entry.tag in ("typedef", "const_type", "volatile_type", "restrict_type",
                                  "atomic_type"):
        entry = entry.attrs.get("type")
    return entry


class Types:
    """The types of the debug information. `structs` are those that the module uses."""

    def __init__(self, top):
        self.named, self.structs, self.aliases = {}, {}, {}
        for entry in top:
            name = "typedef" if entry.tag == "typedef" else "tag", entry.attrs.get("name")
            if entry.tag in ("structure_type", "union_type", "typedef") and name[1]:
                if "declaration" not in entry.attrs or name not in self.named:
                    self.named[name] = entry
                if entry.tag == "typedef":
                    self.aliases.setdefault(id(bare(entry)), name[1])

    def find(self, name):
        """The struct or union with this tag or typedef, or None."""
        for kind in "tag", "typedef":
            entry = bare(self.named.get((kind, name)))
            if entry and entry.tag in ("structure_type", "union_type"):
                return self.struct(entry, "")
        return None

    def struct(self, entry, place):
        """The type of a struct. `place` is a C expression of it, for a struct without a name."""
        if id(entry) not in self.structs:
            rust = c = self.aliases.get(id(entry))
            if "name" in entry.attrs:
                rust = entry.attrs["name"]
                c = f"{'union' if entry.tag == 'union_type' else 'struct'} {rust}"
            elif not rust:
                words = re.findall(r"\b(?!struct\b|union\b|typeof\b|0\b)\w+", place)
                rust, c = "__".join(words), f"typeof({place})"
            same = f"__builtin_types_compatible_p(typeof(@), {c})"
            self.structs[id(entry)] = Type(entry.number("byte_size") or 0, None, f"r#{rust}",
                                           (same,), entry=entry, c=c)
        return self.structs[id(entry)]

    def of(self, entry, place):
        """The type of `entry`. `place` is a C expression of it."""
        entry = bare(entry) or Entry("void")
        if entry.tag in ("structure_type", "union_type"):
            return self.struct(entry, place)
        if entry.tag == "pointer_type":
            to = self.of(entry.attrs.get("type"), f"*({place})")
            rust = f"__k::KernelPtr<{to.pointee}>"
            return Type(8, rust, rust, ("sizeof(@) == 8", *to.checks_at("*(@)")), to=to)
        if entry.tag == "array_type":
            bounds = [bound for bound in entry.children if bound.tag == "subrange_type"]
            of = self.of(entry.attrs["type"], f"({place}){'[0]' * len(bounds)}")
            for bound in reversed(bounds):
                last = bound.number("upper_bound")
                count = bound.number("count") or (0 if last in (None, 2**64 - 1) else last + 1)
                size, checks = count * of.size, of.checks_at("(@)[0]")
                of = Type(size, f"[{of.value}; {count}]" if count and of.value else None,
                          of.pointee, (*checks, *[f"sizeof(@) == {size}"] * (count > 0)),
                          of=of, count=count)
            return of
        basis = bare(entry.attrs.get("type")) if entry.tag == "enumeration_type" else entry
        encoding, size = basis and basis.number("encoding"), entry.number("byte_size")
        if entry.tag not in ("base_type", "enumeration_type") or size > 8 or encoding == 4:
            return Type()
        # DW_ATE_signed and DW_ATE_signed_char; DW_ATE_boolean.
        signed, is_bool = encoding in (5, 6), encoding == 2
        rust = LONG.get(entry.attrs.get("name"), f"{'ui'[signed]}{size * 8}")
        return Type(size, rust, rust, (
            f"sizeof(@) == {size}", f"((typeof(@))-1 < (typeof(@))1) == {int(signed)}",
            f"__builtin_types_compatible_p(typeof(@), _Bool) == {int(is_bool)}",
        ), signed, is_bool)


def members_of(entry):
    """The named members and their offsets, including those of anonymous structs and unions."""
    for member in entry.children:
        offset = member.number("data_member_location") or 0
        if member.tag == "member" and "name" in member.attrs:
            yield member, offset
        elif member.tag == "member":
            yield from ((inner, offset + more) for inner, more in
                        members_of(bare(member.attrs["type"])))


class Member:
    """The field at `path` in `struct`.

    `code` is the Rust expression that reads it through the pointer `p`, and `rust` is its type.
    """

    def __init__(self, types, struct, path):
        self.types, self.checks, self.bits, self.code = types, [], None, "p"
        self.begin(struct)
        parts = re.fullmatch(r"(&?)((?!\d)\w+(?:\.\w+|\[\d+\])*)", path)
        if not parts:
            raise NoField("a path consists of names, `.` and `[NUMBER]`")
        for index, name in re.findall(r"\[(\d+)\]|(\w+)", parts[2]):
            if name:
                self.member(name)
            else:
                self.element(int(index))
        if self.bits:
            self.read_bits(parts[1])
        else:
            self.read(parts[1])

    def begin(self, struct):
        """Starts at a pointer to `struct`: `place` and `offset` are relative to `base`."""
        self.base, self.place, self.offset, self.of = struct, "", 0, struct

    def in_c(self):
        return f"(({self.base.c} *)0)->{self.place}"

    def refuse(self, why):
        raise NoField(f"`{self.place}` of `{self.base.c}` {why}")

    def check(self):
        self.checks.append(f"__builtin_offsetof({self.base.c}, {self.place}) == {self.offset}")
        self.checks.extend(self.of.checks_at(self.in_c()))

    def member(self, name):
        if self.of.to and self.of.to.entry:
            self.check()
            self.code += f".field::<{self.of.value}>({self.offset}).read()?"
            self.begin(self.of.to)
        if not self.of.entry:
            self.refuse("is neither a struct nor a pointer to a struct")
        if "declaration" in self.of.entry.attrs:
            raise NoField(f"`{self.of.c}` is declared, but not defined, in the Kbuild headers")
        members = {member.attrs["name"]: (member, at) for member, at in members_of(self.of.entry)}
        if name not in members:
            near = difflib.get_close_matches(name, members, 1, 0.75)
            raise NoField(f"`{self.of.c}` has no member `{name}`"
                        + "".join(f"; did you mean `{other}`?" for other in near))
        member, offset = members[name]
        self.offset += offset
        self.place += f".{name}" if self.place else name
        self.of = self.types.of(member.attrs["type"], self.in_c())
        if "bit_size" in member.attrs:
            first = 8 * self.offset + (member.number("data_bit_offset") or 0)
            self.bits = first, member.number("bit_size")

    def element(self, index):
        if not self.of.of:
            self.refuse("is not an array")
        if self.of.count and index >= self.of.count:
            self.refuse(f"has {self.of.count} elements")
        self.of = self.of.of
        self.offset += index * self.of.size
        self.place += f"[{index}]"

    def read(self, address):
        self.check()
        if self.of == Type() and not address:
            self.refuse("has a type that cannot be read")
        self.rust = self.of.value
        if address or not self.rust:
            self.rust = f"__k::KernelPtr<{self.of.pointee}>"
            self.code = f"Ok({self.code}.field({self.offset}))"
            return
        if self.of.size > MAX_AT_ONCE:
            self.refuse(f"has {self.of.size} bytes, of which {MAX_AT_ONCE} are read at once; take "
                        f"`&{self.place}` or an element")
        self.code += f".field::<{self.rust}>({self.offset}).read()"
        if self.of.is_bool:
            self.rust, self.code = "bool", f"Ok({self.code}? != 0)"

    def read_bits(self, address):
        first, count = self.bits
        # The smallest aligned integer that contains all bits.
        fitting = [(size, at) for size in (1, 2, 4, 8) for at in [first // 8 // size * size]
                   if first + count <= 8 * (at + size) and at + size <= self.base.size]
        if address or not fitting:
            self.refuse("is a bit field, which has no address" if address else
                        "is a bit field that no aligned integer contains")
        size, at = fitting[0]
        word = f"{'ui'[self.of.signed]}{8 * size}"
        left, right = 8 * (at + size) - first - count, 8 * size - count
        self.rust = "bool" if self.of.is_bool else self.of.value
        convert = "!= 0" if self.of.is_bool else f"as {self.rust}"
        self.code += f".field::<{word}>({at}).read()? << {left} >> {right}"
        self.code = f"Ok(({self.code}) {convert})"

    def mask(self):
        """The bytes of a struct in which only this bit field is set."""
        first, count = self.bits
        return (2**count - 1 << first).to_bytes(self.base.size, "little")


class Build:
    """The generated files, and the compiler."""

    def __init__(self, out, source, headers, depfile, readelf, *compiler):
        self.out, self.source, self.depfile = Path(out), Path(source), Path(depfile)
        self.readelf, self.compiler = readelf, compiler
        self.c, self.object = self.out.with_suffix(".c"), self.out.with_suffix(".o")
        # A header may be the module's own file.
        self.includes = [f"#include <{Path(name).resolve() if Path(name).is_file() else name}>"
                         for name in headers.split()]

    def compile(self, *lines):
        self.c.write_text("\n".join([*self.includes, *lines, ""]))
        options = ["-w", "-gdwarf-5", "-fno-eliminate-unused-debug-types", "-c", "-o", self.object]
        return subprocess.run([*self.compiler, *options, self.c]).returncode == 0

    def show(self, *options):
        try:
            return subprocess.check_output([self.readelf, *options, self.object], text=True,
                                           env={**os.environ, "LC_ALL": "C"})
        except FileNotFoundError:
            sys.exit(f"error: {self.readelf} not found; install the package binutils")

    def confirm(self, structs, members):
        """Compiles assertions about all that was read from the debug information."""
        checks = [f"sizeof({struct.c}) == {struct.size}" for struct in structs if struct.size]
        checks += [check for member in members for check in member.checks]
        lines = [f'_Static_assert({check}, "kprobes");' for check in dict.fromkeys(checks)]
        lines += ['void __attribute__((error("the sign of a bit field"))) kprobes_sign(void);']
        # An object whose bit field is ~0 shows its position. Its sign is constant when optimized.
        bits = {(m.base.c, m.place): m for m in members if m.bits}
        for number, ((struct, place), member) in enumerate(bits.items()):
            lines += [
                f'const {struct} kprobes_bits_{number} __attribute__((used, '
                f'section("kprobes.{number}"))) = {{ .{place} = ~0 }};',
                f"void kprobes_sign_{number}(void) {{ {struct} all = {{ .{place} = ~0 }}; "
                f"if ((all.{place} < 0) != {int(member.of.signed)}) kprobes_sign(); }}",
            ]
        confirmed = self.compile(*lines)
        for number, member in enumerate(bits.values() if confirmed else ()):
            dump = self.show("-x", f"kprobes.{number}")
            got = bytes.fromhex("".join(re.findall(r"^  0x\w{8} (.{36})", dump, re.MULTILINE)))
            confirmed &= got[:member.base.size] == member.mask()
        if not confirmed:
            sys.exit(f"error: {self.c}: struct layout differs from the debug information")

    def run(self):
        texts = dict(sources(self.source, self.source.parent))
        text = "\n".join(texts.values())
        if not self.compile():
            sys.exit(f"error: {self.source}: the Kbuild headers do not compile")
        types = Types(debug_info(self.show("-wi")))
        named = {name: types.find(name) for name in structs(text)}
        wanted = sorted(set(paths(text)))
        rust, members, refusals, done = ["// Made by fields.py."], [], {}, 0
        # Member() adds structs to this dict.
        while done < len(types.structs):
            struct = list(types.structs.values())[done]
            done += 1
            rust.append(f"pub struct {struct.pointee}([u8; {struct.size}]);")
            for path in wanted:
                try:
                    member = Member(types, struct, path)
                    members.append(member)
                    bound, value, code = "__k::Any", member.rust, member.code
                except NoField as reason:
                    bound = refusals.setdefault(str(reason), f"No{len(refusals)}")
                    value, code = "()", "Ok(())"
                rust.append(
                    f"// {path}\nimpl<X: {bound}> __k::Member<{key(path):#x}, X> for "
                    f"{struct.pointee} {{ type Value = {value}; #[inline(always)] "
                    f"fn read(p: __k::KernelPtr<Self>) -> __k::Result<{value}> {{ {code} }} }}")
        for why, bound in refusals.items():
            rust.append(f'#[diagnostic::on_unimplemented(message = "{why}", label = "no field")]')
            rust.append(f"pub trait {bound} {{}}")
        rust += [f"pub type r#{name} = {struct.pointee};" for name, struct in named.items()
                 if struct and struct.pointee != f"r#{name}"]
        self.confirm(types.structs.values(), members)
        self.out.write_text("\n".join([*rust, ""]))
        # fixdep takes the first prerequisite for the source and does not list it.
        with open(self.depfile, "a", encoding="utf-8") as file:
            print(f"{self.out}: -", *texts, file=file)


if __name__ == "__main__":
    Build(*sys.argv[1:]).run()
