# SPDX-License-Identifier: GPL-2.0
"""Follows the links of the HTML that rustdoc made."""
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Where else links may lead. Nothing is fetched.
ELSEWHERE = re.compile(
    r"https://rust\.docs\.kernel\.org/\d+\.\d+/(core|ffi|kernel|macros|pin_init|src)/\S+"
    r"|https://git\.kernel\.org/pub/scm/linux/kernel/git/torvalds/linux\.git/tree/\S+\?h=v\d+\.\d+"
    r"|https://doc\.rust-lang\.org/\S+"
)
# Anchors that rustdoc's script makes, of lines; those of hidden items, which it links
# to all the same.
MADE = re.compile(r"\d+(-\d+)?|tymethod\.__pin_data|associatedtype\.Hit")


class Page(HTMLParser):
    def __init__(self, file):
        super().__init__()
        self.anchors, self.links = set(), set()
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif name == "href":
                self.links.add(value)


def dead(folder):
    """The links that lead nowhere, as `page: link`, and how many there are in all."""
    folder = Path(folder).resolve()
    pages = {file: Page(file) for file in folder.rglob("*.html")}
    found = []
    for file, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme == "javascript":
                continue
            if parts.scheme or parts.netloc:
                good = ELSEWHERE.fullmatch(link)
            else:
                to = (file.parent / unquote(parts.path)).resolve() if parts.path else file
                anchor = parts.fragment
                good = to.is_file() and to.is_relative_to(folder) and (
                    not anchor or MADE.fullmatch(anchor) or to not in pages
                    or anchor in pages[to].anchors)
            if not good:
                found.append(f"{file.relative_to(folder)}: {link}")
    return found, sum(len(page.links) for page in pages.values())


def links(file):
    """The links of one page."""
    return Page(file).links
