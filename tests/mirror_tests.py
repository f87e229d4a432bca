# SPDX-License-Identifier: GPL-2.0
"""Tests which kernel source is chosen when the mirror has moved on, with small local
repositories that apt reads like Debian's."""
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import kernels


def table():
    """The series of scripts/kernels with their suites, the default first."""
    rows = [line.split() for line in (kernels.ROOT / "scripts/kernels").read_text().splitlines()
            if not line.startswith("#")]
    return {series: suites for series, *suites in rows}


class Mirror:
    """A mirror with these versions of linux-source, by suite, and a cache of the
    workbench that uses only it."""

    def __init__(self, folder, **versions):
        self.folder = Path(folder)
        for suite in {"stable", "trixie", "experimental"}.union(*table().values()):
            # apt ignores an empty suite.
            self.suite(suite, versions.get(suite.replace("-", "_"), []) + ["1.0.0-1"])
        config = self.folder / "apt.conf"
        (self.folder / "sources.list").write_text(f"deb file:{self.folder}/debian stable main\n")
        # The one option that is not for a mirror: these lists are not signed.
        config.write_text(
            f'Dir::Etc::sourcelist "{self.folder}/sources.list";\n'
            f'Dir::Etc::sourceparts "/dev/null";\nDir::State::lists "{self.folder}/lists";\n'
            'Acquire::AllowInsecureRepositories "true";\n'
        )
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("KVER", "KERNEL", "ARCH")}
        self.env |= {"APT_CONFIG": str(config), "XDG_CACHE_HOME": str(self.folder / "cache")}
        # What this machine knows of its own suite.
        (self.folder / "lists/partial").mkdir(parents=True)
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "update"], check=True,
                       env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def suite(self, name, versions):
        packages = "".join(
            f"Package: linux-source-{'.'.join(version.split('.')[:2])}\nArchitecture: all\n"
            f"Version: {version}\nMaintainer: nobody\nDescription: Linux\n"
            f"Filename: pool/{version}.deb\nSize: 1\nSHA256: {'0' * 64}\n\n"
            for version in versions
        ).encode()
        top = self.folder / "debian/dists" / name
        (top / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
        (top / "main/binary-amd64/Packages").write_bytes(packages)
        (top / "Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {name}\nCodename: {name}\n"
            "Date: Sat, 01 Jan 2000 00:00:00 UTC\nArchitectures: amd64 all\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} "
            "main/binary-amd64/Packages\n"
        )

    def unpacked(self, version):
        """Makes this look unpacked in the cache."""
        folder = self.folder / "cache/rust_kprobe/src" / f"linux-{version.split('-')[0]}"
        folder.mkdir(parents=True)
        folder.with_name(folder.name + ".version").write_text(version + "\n")

    def chosen(self, **env):
        """The series and the version, or None, and the messages."""
        run = subprocess.run(
            [kernels.ROOT / "scripts/kernel", "--which"], env=self.env | env,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        said = "".join(re.findall(r"^(?:==> (?!reading)|error:|   ).*\n", run.stderr, re.MULTILINE))
        return (tuple(run.stdout.split()) if run.returncode == 0 else None), said


def incomplete():
    """Lists that could not all be had are read again by the next run; others are not."""
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as folder:
        mirror = Mirror(folder)

        def reads():
            run = subprocess.run([kernels.ROOT / "scripts/stock", "build"], env=mirror.env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            assert run.returncode and "has no stock kernel" in run.stderr, run.stderr
            return "reading the package lists" in run.stderr

        away = Path(folder) / "away"
        shutil.move(mirror.folder / "debian/dists/sid", away)
        assert reads() and reads()
        shutil.move(away, mirror.folder / "debian/dists/sid")
        assert reads() and not reads()


def run(_bench, results):
    default, other = list(table())[:2]
    major, minor = default.split(".")
    newer = f"{major}.{int(minor) + 1}"

    def case(name, expected, *words, env=None, unpacked=(), **versions):
        def test():
            with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as folder:
                mirror = Mirror(folder, **versions)
                for version in unpacked:
                    mirror.unpacked(version)
                found, said = mirror.chosen(**(env or {}))
                assert found == expected, f"{found}, not {expected}:\n{said}"
                for word in words:
                    assert word in said, f"no {word!r} in:\n{said}"
                if expected:
                    assert said.count("\n") == len(words), f"more than {len(words)} lines:\n{said}"
                # What was found is the same when it is asked again.
                assert mirror.chosen(**(env or {})) == (found, said), "it says something else now"
        results.run(f"mirror: {name}", test)

    both = {"trixie_backports": [f"{default}.1-1~bpo13+1", f"{default}.4-1~bpo13+1"],
            "sid": [f"{other}.13-1", f"{newer}.1-1"]}
    gone = {"trixie_backports": [f"{other}.12-1~bpo13+1"], "sid": [f"{other}.13-1", f"{newer}.1-1"]}
    case("the default series, in its newest version", (default, f"{default}.4-1~bpo13+1"), **both)
    case("a series that is asked for", (other, f"{other}.13-1"), env={"KVER": other}, **both)
    case("the default series has left: the next one of the table, and one line says so",
         (other, f"{other}.13-1"), f"linux-source-{default} has left", **gone)
    case("it was unpacked before it left", (default, f"{default}.2-1"),
         unpacked=[f"{default}.2-1"], **gone)
    case("another series that is unpacked does not stand in for the default",
         (default, f"{default}.4-1~bpo13+1"), unpacked=[f"{other}.1-1"], **both)
    case("a series that was asked for has left: an error that names it", None,
         f"error: linux-source-{default} is not in", f"linux-source-{other} ",
         env={"KVER": default}, **gone)
    case("no series of the table is there", None, f"error: linux-source-{default} is not in",
         f"linux-source-{newer}", sid=[f"{newer}.1-1"])
    case("an untested series is taken on request, with one line of warning",
         (newer, f"{newer}.1-1"), f"KVER={newer}: nothing of this was tested",
         env={"KVER": newer}, **both)
    case("a series older than the table is refused", None,
         "error: KVER=6.1: not a supported kernel", env={"KVER": "6.1"}, sid=["6.1.1-1"])
    results.run("mirror: lists that could not all be had are read again", incomplete)
