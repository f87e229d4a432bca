# SPDX-License-Identifier: GPL-2.0
"""`make functions` lists functions that can be probed; if none matches, why, and similar ones."""
import os
import re
import subprocess

import kernels


def functions(bench, pattern):
    return subprocess.run(
        ["make", "-s", "-C", kernels.ROOT, "functions", f"PATTERN={pattern}"],
        # Python's module path must not matter.
        env={**os.environ, "PYTHONSAFEPATH": "1", "KDIR": str(bench.kdir), "ACCEL": bench.accel},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def run(bench, results):
    prefixes = {"amd64": "__x64_sys_", "arm64": "__arm64_sys_", "riscv64": "__riscv_sys_"}
    prefix = prefixes[kernels.arch(bench.kdir)]
    everything = functions(bench, "*")
    *lines, last = everything.stdout.splitlines()
    listed = [line.split(maxsplit=1) for line in lines]
    names = [words[0] for words in listed]
    remarks = {words[0]: words[1].strip() for words in listed if words[1:]}

    def lists():
        assert everything.returncode == 0, everything.stderr
        assert last == f"# {len(names)} of {len(names)} functions", last
        assert len(set(names)) == len(names) > 10000
        for name in ("kernel_clone", "do_sys_openat2", f"{prefix}execve"):
            assert name in names and name not in remarks, name
        assert any("functions" in remark for remark in remarks.values())
        assert all("the compiler" in remarks[name] for name in names if ".isra." in name)
        # Assembly or noinstr, NOKPROBE, data, init code.
        for name in ("do_syscall_64", "memcpy", "get_kprobe", "jiffies", "start_kernel"):
            assert name not in names, name

    def some():
        found = functions(bench, "kernel_cl?ne*")
        *lines, last = found.stdout.splitlines()
        assert found.returncode == 0 and "kernel_clone" in lines, found.stdout
        assert last.startswith(f"# {len(lines)} of {len(names)} "), last
        assert all(re.match(r"kernel_cl.ne", line) for line in lines), found.stdout

    def none(pattern, *wanted):
        def test():
            found = functions(bench, pattern)
            assert found.returncode != 0, found.stdout
            for text in ("error: none of ", f"functions matches {pattern}\n", *wanted):
                assert text in found.stdout, f"no {text!r} in:\n{found.stdout}"
        return test

    results.run("functions: functions that can be probed are listed", lists)
    results.run("functions: a pattern selects functions", some)
    results.run("functions: an old system call name lists similar names",
                none("sys_execve", f"similar: {prefix}execve"))
    results.run("functions: a function on the blacklist is reported",
                none("get_kprobe", "get_kprobe is on the kernel's kprobes blacklist"))
