# SPDX-License-Identifier: Apache-2.0
"""A command of pcs in the words of the shell that is there.  Pure.

What every pcs takes without a warning is written so from the start; here is the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from muster.installation.fencing_topology import Level
from muster.installation.missing import Argv
from muster.installation.other_shells import Shell, rephrased

Version = tuple[int, ...]

RULE_IS_ONE_WORD: Version = (0, 12)
"""From here on pcs warns of a rule in several words; 0.11.5 takes it in no other way (pcs/cli/common/parse_args.py,
get_rule_str(); pcs/rule.py)."""


def spoken(pcs: Version, crmsh: bool) -> Shell:
    """Whose words are taken here, as far as nobody chose: Pacemaker's own tools are everywhere."""
    return Shell.PCS if pcs else Shell.CRMSH if crmsh else Shell.CIBADMIN


def phrased(
    commands: Iterable[Argv], pcs: Version, shell: Shell = Shell.PCS, levels: Iterable[Level] = ()
) -> tuple[Argv, ...]:
    """:param pcs: its version; empty where there is none, which gives what each takes.
    :param levels: that are there."""
    if shell is not Shell.PCS:
        return rephrased(commands, shell, levels)
    return tuple(_one_word(argv) if pcs >= RULE_IS_ONE_WORD else argv for argv in commands)


def _one_word(argv: Argv) -> Argv:
    if argv[:1] != ("pcs",) or "rule" not in argv:
        return argv
    first = argv.index("rule") + 1
    while "=" in argv[first]:
        first += 1
    return (*argv[:first], " ".join(argv[first:]))
