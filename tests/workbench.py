# SPDX-License-Identifier: GPL-2.0
"""What suites share, concurrently: the kernel, modules that are built once, and guests."""
import os
import subprocess
import sys
import threading

import kernels
import verdict

ROOT = kernels.ROOT


# The factor by which Debian's kernels are slower than the workbench kernel, and riscv64 than
# others: QEMU switches to another CPU at a `pause` of x86-64, but on riscv64 only every 100 ms.
STOCK_FACTOR, RISCV64_FACTOR = 2, 4


def output(command, cwd=ROOT, env=os.environ, **options):
    """Runs a command; returns the process, with its output and errors in `stdout`."""
    return subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="backslashreplace", **options)


class Bench:
    def __init__(self):
        env = {**os.environ, "KERNEL": os.environ.get("KERNEL") or "workbench"}
        found = subprocess.run([ROOT / "scripts/kdir"], env=env, stdout=subprocess.PIPE, text=True)
        if found.returncode != 0:
            # scripts/kdir has printed the error.
            sys.exit(f"error: scripts/kdir failed with {found.returncode}; no test was run")
        self.kdir = found.stdout.strip()
        self.stock = kernels.is_stock(self.kdir)
        # Whether the kernel is for this machine's architecture.
        self.native = kernels.arch(self.kdir) == kernels.HOST
        # Whether it is a workbench kernel for this machine.
        self.own = self.native and not self.stock
        self.built, self.lock = set(), threading.Lock()
        try:
            self.build(".")
        except RuntimeError as error:
            sys.exit(f"error: {error}")
        self.accel = verdict.choose_accel(self.kdir, os.environ.get("ACCEL") or "auto")
        self.rustc = kernels.CACHE / "bin/rustc"
        if not self.rustc.exists():
            self.rustc = "rustc"

    def has(self, option):
        return kernels.has(self.kdir, option)

    def make(self, folder, *words, kdir=None, **variables):
        """Runs scripts/build in a folder; returns the process, with its output in `stdout`."""
        return output([ROOT / "scripts/build", "-C", folder, *words],
                      env={**os.environ, "KDIR": str(kdir or self.kdir), **variables})

    def build(self, folder):
        """Builds the modules of one of the project's folders, once."""
        with self.lock:
            if folder not in self.built:
                made = self.make(ROOT / folder)
                if made.returncode != 0:
                    raise RuntimeError(f"{folder} does not build:\n{made.stdout[-3000:]}")
                self.built.add(folder)

    def run(self, command, **options):
        """Runs a command in a guest, see verdict.run(); returns the outcome."""
        if self.stock:
            options["limit"] *= STOCK_FACTOR
        if self.has("RISCV"):
            options["limit"] *= RISCV64_FACTOR
        # A kernel with jump labels patches its code while it boots. If CPUs run concurrently, QEMU
        # does not cope with that: one boot in six ends before the command starts.
        tries = 3 if options.get("threads") == "multi" and self.has("JUMP_LABEL") else 1
        for _ in range(tries):
            outcome = verdict.run(self.kdir, command, accel=self.accel, **options)
            if outcome.output:
                break
        return outcome

    def ktap(self, results, name, program, *arguments, **options):
        """Runs a program of tests/inside, and adds its results and the verdict on the guest."""
        outcome = self.run(["/usr/bin/python3", f"tests/inside/{program}", *arguments], **options)
        results.merge(name, outcome.output)
        results.verdict(name, outcome, counted=True)
