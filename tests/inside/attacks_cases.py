# SPDX-License-Identifier: GPL-2.0
"""The cases of tests/attacks, parsed from its files. tests/attacks/attacks.rs has the syntax."""
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "attacks"


@dataclass
class Case:
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
    victim: str = ""

    @property
    def leaves(self):
        """Whether the case leaks memory, for example as a probe that is never dropped."""
        return self.leaks or any("never dropped" in pattern for pattern, _ in self.says)

    def is_one_of(self, names):
        """Whether `names` is empty, or has the name of the case or of its file."""
        return not names or self.name in names or self.name.split("/")[0] in names


def of(outcomes, names=()):
    return [case for case in cases() if case.outcome in outcomes and case.is_one_of(names)]


def cases():
    found = []
    for source in sorted(FOLDER.glob("*.rs")):
        if source.stem == "attacks":
            continue
        of_this = []
        for line in source.read_text(encoding="utf-8").splitlines():
            new = re.fullmatch(
                r"// case ?(\w*): (harmless|refused|stopped|complains) ?(.*)", line)
            more = re.fullmatch(
                r"// (says|says some|held|given|opens|since|races|leaks|victim)(?:: (.*))?", line)
            if new:
                name = source.stem + (f"/{new[1]}" if new[1] else "")
                of_this.append(Case(name, new[2], new[3]))
            elif more and more[1].startswith("says"):
                of_this[-1].says.append((more[2], more[1] == "says some"))
            elif more:
                value = int(more[2]) if more[1] == "held" else more[2] or True
                setattr(of_this[-1], more[1], value)
        if not of_this:
            raise ValueError(f"{source.name} states no case")
        found += of_this
    for case in found:
        case.given = f"attack={case.name} {case.given}"
    return found
