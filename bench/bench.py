# SPDX-License-Identifier: GPL-2.0
"""Measures in a guest and checks against expected.toml."""
import re
import tomllib
from pathlib import Path

import verdict

HERE = Path(__file__).resolve().parent
NAMES = {"c": "C", "rust": "Rust", "fprobe": "fprobe", "tracefs": "tracefs event",
         "synth": "synthetic event", "printf()": "bpftrace printf()",
         "count()": "bpftrace count()", "@[pid]": "bpftrace @[pid]", "@++": "bpftrace @++", "hist()": "bpftrace hist()"}


# The modules that are measured. The sample funccount counts grace periods.
FOLDERS = (".", "samples", "bench")


def measure(kdir, *rows, accel="tcg", cpus=1, calls=100_000, echo=None):
    """{row: {peer: instructions}}, and the guest's outcome. With KVM,
    nanoseconds. FOLDERS must have been built."""
    # 5 bytes behind the entry is the first instruction that is not ftrace's.
    outcome = verdict.run(
        kdir, ["bench/measure.py", str(calls), "5", *rows], limit=1500, accel=accel, cpus=cpus,
        icount=accel == "tcg", echo=echo,
    )
    costs = {}
    for line in outcome.output.splitlines():
        words = line.split()
        if re.fullmatch(r"\w+ \S+ -?[\d.]+", line) and words[0] != "bare":
            costs.setdefault(words[0], {})[NAMES.get(words[1], words[1])] = float(words[2])
    return costs, outcome


def above(costs):
    """Returns a message for each row that costs more than expected."""
    expected = tomllib.loads((HERE / "expected.toml").read_text())
    found = []
    for peer, rows in expected.items():
        peer = NAMES.get(peer, peer)
        for row, most in rows.items():
            rust, other = costs.get(row, {}).get("Rust"), costs.get(row, {}).get(peer)
            if peer == "instructions":
                if rust is None or rust > most:
                    found.append(f"{row}: Rust {rust} is above {most} instructions")
                continue
            if rust is None or other is None:
                if peer in ("C", "fprobe"):
                    found.append(f"{row}: Rust or {peer} was not measured")
                continue
            if rust > most * other:
                found.append(
                    f"{row}: Rust {rust:g}, {peer} {other:g}: {rust / other:.3f} is above {most}"
                )
    return found
