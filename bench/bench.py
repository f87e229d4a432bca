#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Measures the cost of a hit, in Rust and others, and writes bench/results/*.csv and two
pictures. Fails if Rust exceeds a limit of expected.toml. With ACCEL=kvm, measures nanoseconds
and checks no limits."""
import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "qemu")]

import verdict

# README.md's picture. A task has the row of Rust, C and fprobe, the row of tracefs and bpftrace,
# and bpftrace's program.
COMPARED = {
    "count the calls of a function": ("entry_percpu", "kprobe_counting", "count()"),
    "count them by process": ("entry_by_pid", "kprobe_by_pid", "@[pid]"),
    "count them by call stack": ("kprobe_by_stack", "kprobe_by_stack", "@[kstack]"),
    "histogram of a function's duration": ("kretprobe_histogram", "kretprobe_histogram", "hist()"),
    "trace event with 8 bytes": ("event_entry", "event", "printf()"),
    "trace event without a listener": ("event_entry_disabled", "event_disabled", ""),
}

# The folders of the measured modules. The sample funccount counts grace periods.
FOLDERS = (".", "samples", "bench")


def measure(kdir, *rows, accel="tcg", calls=100_000):
    """Returns {row: {peer: instructions}} and the guest's outcome. With KVM, nanoseconds.
    FOLDERS must have been built."""
    outcome = verdict.run(kdir, ["bench/measure.py", str(calls), *rows], limit=1500, accel=accel,
                          cpus=1, icount=accel == "tcg")
    costs = {}
    for line in outcome.output.splitlines():
        if line.count("\t") == 2:
            row, peer, cost = line.split("\t")
            costs.setdefault(row, {})[peer] = float(cost)
    return costs, outcome


def size(peer):
    out = subprocess.run(["size", HERE / f"bench_min_{peer.lower()}.ko"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return int(out.splitlines()[1].split()[0])


def hits(costs):
    return [row for row in costs if {"C", "Rust"} <= set(costs[row]) and not row.startswith(
        ("attach_", "detach_", "grace_periods_", "bytes_"))]


def above(costs):
    bars = tomllib.loads((HERE / "expected.toml").read_text())
    bars["C"] = dict.fromkeys(hits(costs), 1.00) | bars["C"]
    for peer, rows in bars.items():
        for row, most in rows.items():
            rust, other = costs.get(row, {}).get("Rust"), costs.get(row, {}).get(peer)
            if peer == "instructions":
                other = 1
            if rust is None or other is None:
                if not peer.startswith("bpftrace"):
                    yield f"{row}: Rust or {peer} was not measured"
            elif rust > most * other:
                yield f"{row}: Rust {rust:g} is above {most} times the {other:g} of {peer}"


def pyplot():
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "rust_kprobe", "axes.spines.top": False,
                            "axes.spines.right": False}
    import matplotlib.pyplot as plt
    return plt


def comparison(costs, unit, path):
    """Draws COMPARED. Each task has a scale of its own."""
    rows = {}
    for title, (own, theirs, program) in COMPARED.items():
        found = {label: costs.get(row, {}).get(peer) for label, row, peer in (
            ("Rust", own, "Rust"), ("C", own, "C"), ("C, by fprobe", own, "fprobe"),
            ("tracefs", theirs, "tracefs"), ("bpftrace", theirs, f"bpftrace {program}"))}
        rows[title] = {label: cost for label, cost in found.items() if cost is not None}
    heights = [len(row) + 1 for row in rows.values()]
    figure, places = pyplot().subplots(len(rows), figsize=(8, 7), height_ratios=heights)
    for axes, (title, row) in zip(places, rows.items()):
        bars = axes.barh(list(row), row.values(), 0.8,
                         color=["#b7410e" if label == "Rust" else "#6a87a8" for label in row])
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axes.set_title(title, loc="left", fontsize=9)
        axes.tick_params(left=False, labelsize=8)
        axes.set_xticks([])
        axes.spines.bottom.set_visible(False)
        axes.invert_yaxis()
    places[-1].set_xlabel(f"{unit} per hit, without the bare call", fontsize=8)
    figure.tight_layout(h_pad=0.2)
    figure.savefig(path, metadata={"Date": None})


def picture(costs, unit, path):
    rows = hits(costs)
    figure, axes = pyplot().subplots(figsize=(8, 0.42 * len(rows) + 1))
    for n, (peer, color) in enumerate((("Rust", "#b7410e"), ("C", "#6a87a8"))):
        at = [len(rows) - k + 0.2 - 0.4 * n for k in range(len(rows))]
        bars = axes.barh(at, [costs[row][peer] for row in rows], 0.38, label=peer, color=color)
        axes.bar_label(bars, fmt="%g", padding=2, fontsize=7)
    axes.set_yticks([len(rows) - k for k in range(len(rows))], rows, fontsize=8)
    axes.set_xlabel(f"{unit} per hit, without the bare call")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    subprocess.run([ROOT / "scripts/packages", "python3-matplotlib"], check=True)
    os.environ["KERNEL"] = os.environ.get("KERNEL") or "workbench"
    kdir = subprocess.run([ROOT / "scripts/kdir"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()
    accel = "kvm" if os.environ.get("ACCEL") == "kvm" else "tcg"
    unit = "nanoseconds" if accel == "kvm" else "instructions"
    for folder in FOLDERS:
        subprocess.run([ROOT / "scripts/build", "-C", ROOT / folder], check=True,
                       stdout=subprocess.DEVNULL)
    verdict.say(f"measuring {unit}; a few minutes")
    costs, outcome = measure(kdir, accel=accel)
    if not outcome.ok:
        outcome.report()
        return 1
    costs["bytes_of_text"] = {peer: size(peer) for peer in ("Rust", "C")}

    peers = ["Rust", "C"] + sorted({p for row in costs.values() for p in row} - {"Rust", "C"})
    table = [[row, *(f"{cost[p]:.10g}" if p in cost else "" for p in peers)]
             for row, cost in costs.items()]
    for row, *cells in [[unit, *peers], *table]:
        print(f"{row:<22}" + "".join(f"{cell or '-':>18}" for cell in cells))
    with open(HERE / f"results/{unit}.csv", "w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([["row", *peers], *table])
    picture(costs, unit, HERE / f"results/{unit}.svg")
    comparison(costs, unit, HERE / f"results/{unit}_compared.svg")

    found = [] if accel == "kvm" else list(above(costs))
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
