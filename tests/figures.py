# SPDX-License-Identifier: GPL-2.0
"""Writes FIGURES.md: how many checks of each suite passed, and their figures. `tests/run
--figures` replaces the sections of its suites, unless a check failed."""
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "FIGURES.md"
HEAD = """\
# Figures of the test suites

`tests/run --figures SUITE...` and `make stress` write this page: each run replaces the sections
of its suites on its kernel. [RELIABILITY.md](RELIABILITY.md) explains what each suite shows.

"""


def commit():
    """The commit of this folder, with a plus if files differ, except for the written pages."""
    def git(*args):
        return subprocess.run(["git", *args], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!MATRIX.md",
                  ":!FIGURES.md")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def section(lines, tested):
    names = [name for ok, name in lines if ok]
    found = [re.fullmatch(r"(.*?: .*?) \((.*\d.*)\)", name) for name in names]
    rows = [f"| {row[1]} | {row[2]} |\n" for row in found if row]
    table = "\n| check | figures |\n|---|---|\n" + "".join(rows) if rows else ""
    return f"{tested}: {len(names)} passed.\n{table}\n"


def write(suites, kernel, tested):
    """`suites` has the result lines of each suite, `tested` the command and the commit."""
    text = PAGE.read_text() if PAGE.exists() else ""
    sections = dict(re.findall(r"^## ([^\n]*)\n\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for name, lines in suites.items():
        checks = [ok for ok, _ in lines if ok is not None]
        if checks and all(checks):
            sections[f"{name} on {kernel}"] = section(lines, tested)
    body = "".join(f"## {title}\n\n{text.rstrip()}\n\n" for title, text in sorted(sections.items()))
    PAGE.write_text(HEAD + body.rstrip() + "\n")
