# SPDX-License-Identifier: GPL-2.0
"""The kernel of a KDIR: its configuration, image and modules."""
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_cache = subprocess.run([ROOT / "scripts/cache"], stdout=subprocess.PIPE, text=True)
if _cache.returncode:
        sys.exit(1)  # The script has printed the error.
CACHE = Path(_cache.stdout.rstrip("\n"))
HOST = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())


@dataclass
class Kernel:
    """A bootable kernel. `modules` is the folder of its modules, if any."""

    image: Path
    arch: str
    modules: Path | None = None


def kernel(kdir):
    kdir = Path(kdir)
    for image, arch in (("x86/boot/bzImage", "amd64"), ("arm64/boot/Image", "arm64"),
                        ("riscv/boot/Image", "riscv64")):
        if (kdir / "arch" / image).exists():
            return Kernel(kdir / "arch" / image, arch)
    release = kdir / "include/config/kernel.release"
    release = release.read_text().strip() if release.exists() else ""
    package = kdir.absolute().parent / "image"
    if not package.exists() and package.parent.parent == CACHE / "stock":
        # Its KDIR was built; the image is in other packages.
        if subprocess.run([ROOT / "scripts/stock", "image", release],
                          stdout=subprocess.DEVNULL).returncode:
            sys.exit(1)
    arch = "arm64" if release.endswith("arm64") else "amd64"
    for modules in (package / "lib/modules" / release, package / "usr/lib/modules" / release):
        for image in (package / f"boot/vmlinuz-{release}", modules / "vmlinuz"):
            if modules.exists() and image.exists():
                return Kernel(image, arch, modules)
    return None


def has(kdir, option):
    config = Path(kdir) / "include/config/auto.conf"
    return config.exists() and f"CONFIG_{option}=y\n" in config.read_text()


def is_debug(kdir):
    return has(kdir, "KASAN")


def is_stock(kdir):
    boots = kernel(kdir)
    return boots is not None and boots.modules is not None


def arch(kdir):
    return "arm64" if has(kdir, "ARM64") else "riscv64" if has(kdir, "RISCV") else "amd64"


def title(kdir):
    """Its name in documents: `Linux 7.3.4 for amd64, debug`"""
    release = (Path(kdir) / "include/config/kernel.release").read_text().strip()
    return f"Linux {release} for {arch(kdir)}" + (", debug" if is_debug(kdir) else "")
