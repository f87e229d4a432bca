# SPDX-License-Identifier: GPL-2.0
"""The patches of upstream/ for the kernel: each series applies in order to its source, and the
kernel's checkpatch.pl has nothing to say. `make upstream` builds and runs them."""
import re
import tempfile
from pathlib import Path

from workbench import ROOT, output

OTHERS = "bindgen", "virtme-ng"
# A question about each new file, whether MAINTAINERS has its folder.
IGNORED = "FILE_PATH_CHANGES"


def git(folder, *words):
    return output(["git", "-c", "user.name=rust_kprobe", "-c", "user.email=rust_kprobe@invalid",
                   "-C", folder, *words])


def run(bench, results):
    source = (Path(bench.kdir) / "source").resolve()
    for folder in sorted({path.parent for path in (ROOT / "upstream").glob("*/*.patch")}):
        # Without the cover letter, which is 0000.
        patches = [patch for patch in sorted(folder.glob("*.patch"))
                   if not patch.name.startswith("0000")]
        if folder.name not in OTHERS:
            results.run(f"upstream: {folder.name} applies in order",
                        lambda: applies(source, patches))
            results.run(f"upstream: {folder.name} satisfies checkpatch.pl",
                        lambda: checkpatch(source, patches))


def applies(source, patches):
    """To a repository with only the files that the patches change."""
    paths = {path for patch in patches
             for path in re.findall(r"^--- a/(\S+)", patch.read_text(), re.MULTILINE)}
    with tempfile.TemporaryDirectory(prefix="rust_kprobe-") as name:
        at = Path(name)
        for path in paths:
            # Others are added by an earlier patch.
            if (source / path).exists():
                (at / path).parent.mkdir(parents=True, exist_ok=True)
                (at / path).write_bytes((source / path).read_bytes())
        git(at, "init", "-q")
        git(at, "add", "-A", "-f")
        git(at, "commit", "-q", "-m", "as packaged")
        done = git(at, "am", "-q", *patches)
        assert done.returncode == 0 and not done.stdout, done.stdout


def checkpatch(source, patches):
    done = output(["scripts/checkpatch.pl", "--strict", "--no-signoff", "--no-summary", "--terse",
                   f"--ignore={IGNORED}", *patches], cwd=source)
    assert done.returncode == 0, done.stdout
