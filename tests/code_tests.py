# SPDX-License-Identifier: GPL-2.0
"""Checks the machine code of entry probes in the module with the KUnit suites, which has a
callback for each handler: code that runs on a hit outside of the guard against recursion must be
in a section that kprobes refuse, and must not call a function that can be probed or traced."""
import re
import subprocess

import kernels

MODULE = "tests/kunit/kprobes_kunit.ko"
SECTION = ".kprobes.text"
# The functions on that path, by their mangled names.
PATH = re.compile(r"7kprobes5entry(3hit|6record4skip)|^kprobes_preempt_schedule$|"
                  r"7kprobes5entry5table.*5Table4find$")
# Functions that run at the module's exit, after the kernel has freed the slots of its kprobes.
END = re.compile(r"7kprobes5probe12module_entry10unregister|7kprobes5entry3ops.*6detach")
# The callback of a handler. Until it leaves the guard, it may call any function.
HANDLER = "5entry3hit3run"
LEAVES_GUARD = re.compile(r"\tbtrl? ")
CALL = re.compile(r"R_X86_64_PLT32\s+(\S+?)[-+]0x|(?:call|jmp) +[0-9a-f]+ <([^>+]+)>")
# The first two reschedule, like preempt_enable_notrace(). The compiler calls the others: for a
# return or an indirect call, an instrumented access, and a panic of a debug kernel.
ALLOWED = re.compile(r"kprobes_preempt_schedule|preempt_schedule_notrace(_thunk)?|"
                     r"__x86_(return|indirect)_thunk\w*|__asan_\w+|\w*4core9panicking\w*")


def objdump(*words):
    return subprocess.run(["objdump", *words, kernels.ROOT / MODULE],
                          stdout=subprocess.PIPE, text=True, check=True).stdout


def functions(wanted):
    """The functions whose names match, with the section of each."""
    found = re.findall(r"^[0-9a-f]+ .{7} (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$",
                       objdump("-t"), re.MULTILINE)
    return {name: section for section, name in found if wanted.search(name) and section != "*UND*"}


def bodies():
    """The lines of each function in SECTION."""
    text = objdump("-dr", "--no-show-raw-insn", "-j", SECTION)
    parts = re.split(r"^[0-9a-f]+ <(\S+)>:$", text, flags=re.MULTILINE)
    return {name: body.splitlines() for name, body in zip(parts[1::2], parts[2::2])}


def after_the_guard(lines):
    """The instructions that may run after the guard was left, with their relocations."""
    at = {match[1]: n for n, line in enumerate(lines)
          if (match := re.match(r" +([0-9a-f]+):\t", line))}
    waiting = [n for n, line in enumerate(lines) if LEAVES_GUARD.search(line)]
    seen = set()
    while waiting:
        n = waiting.pop()
        while n < len(lines) and n not in seen:
            seen.add(n)
            jump = re.search(r"\tj\w+ +([0-9a-f]+) ", lines[n])
            if jump and jump[1] in at:
                waiting.append(at[jump[1]])
            # A jump's relocation is on the next line.
            n += 1
            if re.search(r"\t(jmp|ret|ud2)\b", lines[n - 1]):
                if n < len(lines) and "R_X86_64_" in lines[n]:
                    seen.add(n)
                break
    return [lines[n] for n in sorted(seen)]


def calls(name, lines):
    """The functions that it calls outside of the guard."""
    if HANDLER in name:
        lines = after_the_guard(lines)
    found = set()
    for line, following in zip(lines, [*lines[1:], ""]):
        call = CALL.search(line)
        # If there is a relocation, it has the target.
        if call and (call[1] or "R_X86_64_" not in following):
            found.add(call[1] or call[2])
    return found


def run(bench, results):
    bench.build("tests/kunit")
    path = functions(PATH)
    wanted = ("3hit3hit", "3hit6missed", "3hit16hit_in_interrupt", "6record4skip", HANDLER,
              "kprobes_preempt_schedule")
    results.add(all(any(part in name for name in path) for part in wanted),
                "code: the functions of a hit's path are found", sorted(path))
    outside = sorted(name for name, section in path.items() if section != SECTION)
    results.add(not outside, "code: functions outside of the guard refuse kprobes", outside)
    end = functions(END)
    results.add(len(end) > 1 and set(end.values()) == {SECTION},
                "code: functions that unregister leaked probes refuse kprobes", sorted(end.items()))
    others = [f"{name} calls {call}" for name, lines in bodies().items() if name in path
              for call in sorted(calls(name, lines))
              if call not in path and call != name and not ALLOWED.fullmatch(call)]
    results.add(not others, "code: a hit calls no other function outside of the guard", others)
