# SPDX-License-Identifier: GPL-2.0
"""The cases of tests/attacks, as its files state them: tests/attacks/attacks.rs
says how."""
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "attacks"


@dataclass
class Case:
    """An attack, and what must come of it."""

    name: str
    outcome: str
    wanted: str  # the errno, or the line
    says: list = field(default_factory=list)
    held: int | None = None
    races: bool = False
    given: str = ""
    opens: str = ""
    since: str = "0"
    leaks: bool = False

    @property
    def leaves(self):
        """Whether it leaves something behind, whose memory stays allocated."""
        return self.leaks or any("left registered" in pattern for pattern, _ in self.says)


def cases():
    found = []
    for source in sorted(FOLDER.glob("*.rs")):
        if source.stem == "attacks":
            continue
        of_this = []
        for line in source.read_text(encoding="utf-8").splitlines():
            new = re.fullmatch(r"// case ?(\w*): (harmless|refused|stopped|complains) ?(.*)", line)
            more = re.fullmatch(r"// (says|says some|held|given|opens|since|races|leaks)(?:: (.*))?", line)
            if new:
                name = source.stem + (f"/{new[1]}" if new[1] else "")
                of_this.append(Case(name, new[2], new[3]))
            elif more and more[1].startswith("says"):
                of_this[-1].says.append((more[2], more[1] == "says some"))
            elif more and more[1] == "given":
                of_this[-1].given = more[2]
            elif more and more[1] in ("opens", "since"):
                setattr(of_this[-1], more[1], more[2])
            elif more and more[1] == "held":
                of_this[-1].held = int(more[2])
            elif more:
                setattr(of_this[-1], more[1], True)
        if not of_this:
            raise ValueError(f"{source.name} states no case")
        found += of_this
    return found


def of(outcomes):
    return [case for case in cases() if case.outcome in outcomes]
