# SPDX-License-Identifier: GPL-2.0
"""Reads the kernel's text through /proc/kcore, page by page."""
import bisect
import hashlib
import struct

PAGE = 4096


def _symbols():
    with open("/proc/kallsyms", encoding="ascii") as kallsyms:
        found = [line.split()[:3] for line in kallsyms]
    # kallsyms may show _etext as a symbol of the next section.
    return sorted((int(address, 16), name) for address, kind, name in found
                  if kind in "tT" or name == "_etext")


def _bounds():
    at = {name: address for address, name in _symbols()}
    return at["_stext"], at["_etext"]


def pages():
    """{address: digest} of each page of text."""
    start, end = _bounds()
    with open("/proc/kcore", "rb") as kcore:
        header = kcore.read(64)
        offset, = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        kcore.seek(offset)
        for n in range(count):
            entry = kcore.read(size)
            kind, _, file_offset, address = struct.unpack_from("<IIQQ", entry)
            length, = struct.unpack_from("<Q", entry, 32)
            if kind == 1 and address <= start and end <= address + length:
                break
        else:
            raise AssertionError("/proc/kcore does not show the kernel's text")
        kcore.seek(file_offset + start - address)
        digests, blank = {}, None
        for at in range(start, end, PAGE):
            page = kcore.read(min(PAGE, end - at))
            if any(page):
                # Only the padding at the end of the text is blank.
                if blank is not None:
                    break
                digests[at] = hashlib.sha256(page).digest()
            elif blank is None:
                blank = at
    if blank is not None and (any(page) or end - blank > 1 << 16):
        raise AssertionError(f"/proc/kcore shows nothing at {blank:#x}")
    return digests


def changed(before):
    """The symbols in the pages that have changed."""
    now = pages()
    symbols = _symbols()
    at = [page for page in before if now.get(page) != before[page]]
    return [symbols[bisect.bisect_right(symbols, (page, "~")) - 1][1] for page in at]
