#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compares the sample container with /proc, in a PID namespace and a cgroup. Prints KTAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import kmod
from kmod import check, equal

CGROUPS = Path("/sys/fs/cgroup")
NAME = "a_name_of_more_than_15_bytes"


@contextmanager
def cgroup(name):
    if not (CGROUPS / "cgroup.procs").exists():
        CGROUPS.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup2", "none", CGROUPS], check=True)
    path = CGROUPS / name
    path.mkdir()
    try:
        yield path
    finally:
        kmod.until(lambda: "populated 0" in (path / "cgroup.events").read_text())
        path.rmdir()


def of_proc(pid):
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    stat = (proc / "stat").read_text().rpartition(")")[2].split()
    inside = (proc / "cgroup").read_text().splitlines()[-1].removeprefix("0::/")
    return {
        "exe": os.path.basename(os.readlink(proc / "exe")),
        "pid": int(status["Tgid"]),
        "ppid": int(status["PPid"]),
        "uid": int(status["Uid"].split()[0]),
        "gid": int(status["Gid"].split()[0]),
        "inside": int(status["NStgid"].split()[-1]),
        "cgroup": (CGROUPS / inside).stat().st_ino,
        # starttime is field 22; `stat` begins with field 3.
        "started": int(stat[22 - 3]),
    }


def test_task_fields_equal_those_in_proc():
    with tempfile.TemporaryDirectory() as folder, cgroup("sample") as group, \
            kmod.loaded("samples/container.ko") as log:
        os.chmod(folder, 0o755)
        program = Path(folder) / NAME
        shutil.copy(shutil.which("sleep"), program)
        # With a parent in the namespace.
        with subprocess.Popen(
                ["unshare", "--pid", "--fork", "setpriv", "--reuid=1234", "--regid=4321",
                 "--clear-groups", "bash", "-c", f"{program} 5; :"],
                preexec_fn=lambda: (group / "cgroup.procs").write_text("0")):
            found = []

            def sleeps():
                for pid in (group / "cgroup.procs").read_text().split():
                    if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == NAME:
                        found[:] = [pid]
                return found

            kmod.until(sleeps)
            wanted = of_proc(found[0])
            lines = []

            def logged():
                lines.extend(line for line in log.lines() if line.startswith(f"comm={NAME[:15]} "))
                return lines

            kmod.until(logged)
        equal((wanted["uid"], wanted["gid"], wanted["cgroup"]), (1234, 4321, group.stat().st_ino))
        check(wanted["inside"] != wanted["pid"], "the process is not in another PID namespace")
        got = dict(re.findall(r"(\w+)=(\S+)", lines[0]))
        del got["comm"]
        # /proc counts in hundredths of a second.
        got["started"] = int(got["started"]) // 10_000_000
        equal(got, {name: value if name in ("exe", "started") else str(value)
                    for name, value in wanted.items()})


if __name__ == "__main__":
    sys.exit(kmod.run("container", kmod.tests(globals()), sys.argv[1:]))
