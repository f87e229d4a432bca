# SPDX-License-Identifier: GPL-2.0
"""A guest in which something goes wrong on purpose: the kernel complains of that,
and what follows from it, but of nothing before, and memory stays whole. The oops turns
lockdep off; that it was on until then, the guest's program checks (check_lockdep)."""
import re

import verdict

# What does not come of a task that ends in the middle of something, with the locks that it holds,
# but of memory that is used wrongly. (Every oops of a kernel with KASAN has that word at its end.)
DAMAGE = re.compile(r"BUG: KASAN|Unable to handle|page fault|general protection|double fault|"
                    r"list_(add|del) corruption|refcount_t|[Bb]ad page state")


def told(results, name, outcome, wanted, then=""):
    """Adds the results: a line like `wanted` comes, and `then` after it."""
    console = outcome.console
    found = re.search(wanted, console)
    results.add(bool(found) and then in console[found.start():], f"{name}: it is told",
                console.splitlines()[-40:])
    end = console.rfind("\n", 0, found.start()) + 1 if found else len(console)
    before = verdict.faults(console[:end])
    results.add(not before, f"{name}: the kernel complains of nothing before", before)
    damage = [line for line in verdict.faults(console) if DAMAGE.search(line)]
    results.add(not damage, f"{name}: memory is whole", damage)
