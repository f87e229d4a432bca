# SPDX-License-Identifier: GPL-2.0
"""Runs the library's KUnit suites in a guest."""
import re


def run(bench, results):
    bench.build("tests/kunit")
    outcome = bench.run(["tests/inside/kunit"], limit=300)
    suites = re.split(r"^    # Subtest: (\w+)$", outcome.output, flags=re.MULTILINE)
    total = 0
    for suite, text in zip(suites[1::2], suites[2::2]):
        planned = int(re.search(r"^    1\.\.(\d+)$", text, re.MULTILINE)[1])
        notes = []
        found = 0
        for line in text.splitlines():
            case = re.match(r"    (ok|not ok) \d+ (\w+)( # SKIP .*)?", line)
            if case:
                found += 1
                name = f"{suite}: {case[2].replace('_', ' ')}{case[3] or ''}"
                results.add(case[1] == "ok", name, notes)
                notes = []
            elif "speed: " not in line and not line.lstrip().startswith(("1..", "KTAP")):
                notes.append(line.strip())
        results.add(found == planned, f"{suite}: every planned case ran", [f"{found} of {planned}"])
        total += found
    results.add(total > 0, "kunit: the suites complete")
    results.verdict("kunit", outcome)
