# SPDX-License-Identifier: GPL-2.0
"""Runs the commands of TROUBLESHOOTING.md in a guest, and compares their output with the page."""
import re
import shlex

import kernels

PAGE = kernels.ROOT / "TROUBLESHOOTING.md"


def blocks():
    heading = None
    for part in re.findall(r"^## ([^\n]*)$|^```console\n(.*?)^```$", PAGE.read_text(),
                           re.MULTILINE | re.DOTALL):
        heading = part[0] or heading
        if part[1]:
            found = []
            # A command may have several lines, like in a shell.
            for line in part[1].replace("\n> ", "\0").splitlines():
                if line.startswith("# "):
                    found.append((line[2:].replace("\0", "\n"), []))
                else:
                    found[-1][1].append(line)
            yield heading, found


def plain(line, addresses):
    """The line without what differs between runs; `addresses` numbers its addresses."""
    line = line.rstrip()
    line = re.sub(r"[0-9a-f]{16}", lambda m: f"A{addresses.setdefault(m[0], len(addresses))}", line)
    line = re.sub(r"^ +(cat)-\d+ +\[\d+\] \S+ +\d+\.\d+:", r"\1-PID [CPU] FLAGS TIME:", line)
    line = re.sub(r"(kworker/)\d+", r"\1N", line)
    # Other programs open files and exit, too.
    return re.sub(r"(open|exit): unregistered, [1-9]\d* hits,", r"\1: unregistered, N hits,", line)


def run(bench, results):
    bench.build("samples")
    page = list(blocks())
    commands = [command for _, block in page for command, _ in block]
    # In one shell, like a user.
    script = "exec 2>&1\n" + "".join(
        f"echo '=== {number}'\neval {shlex.quote(command)}\n"
        for number, command in enumerate(commands)
    )
    outcome = bench.run(["/bin/bash", "-c", script], limit=120)
    said = {int(number): text.splitlines() for number, text in
            re.findall(r"^=== (\d+)\n((?:(?!=== \d).*\n)*)", outcome.output, re.MULTILINE)}
    number = 0
    for place, (heading, block) in enumerate(page, 1):
        wrong, here, there = [], {}, {}
        for command, wanted in block:
            got = said.get(number, ["(it was not run)"])
            number += 1
            if [plain(line, here) for line in wanted] != [plain(line, there) for line in got]:
                wrong += [f"$ {command}", *(f"wanted: {line}" for line in wanted),
                          *(f"got:    {line}" for line in got[:10])]
        results.add(not wrong, f"troubleshooting: block {place}, {heading}, prints as shown", wrong)
    results.add(len(page) >= 15, "troubleshooting: the page has at least 15 blocks")
    results.verdict("troubleshooting", outcome)
