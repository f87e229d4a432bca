# SPDX-License-Identifier: GPL-2.0
"""The short form of `make bench`: two rows. On the debug kernel, they are only measured, with
fewer calls: these disable interrupts, and the watchdog would warn."""
import bench as benchmark
import kernels

ROWS = ("kprobe_counting", "kretprobe_data")


def run(bench, results):
    debug = kernels.is_debug(bench.kdir)
    for folder in benchmark.FOLDERS:
        bench.build(folder)
    costs, outcome = benchmark.measure(bench.kdir, *ROWS, calls=1000 if debug else 100_000)
    results.verdict("bench", outcome)
    for row in ROWS:
        c, rust = costs.get(row, {}).get("C"), costs.get(row, {}).get("Rust")
        measured = c is not None and rust is not None and min(c, rust) > 0
        if debug:
            results.add(measured, f"bench: {row} is measured", [f"Rust {rust}, C {c}"])
        else:
            good = measured and rust <= c + 1
            results.add(good, f"bench: {row} costs no more than in C", [f"Rust {rust}, C {c}"])
