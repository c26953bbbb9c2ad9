# SPDX-License-Identifier: Apache-2.0
"""The packages of this tree, as the commands of each format: how they are built, and installed on a node as users do."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_EL_SITE = f"/usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@dataclass(frozen=True)
class Format:
    """:param folder: of ``packaging``, with the command that builds them.
    :param file: how a package of a release is called.
    :param verbs: by install, upgrade, erase: the command before the files, or the names.
    :param query: lists the packages that are installed, a line each.
    :param site: where the modules are then.
    :param before: what this machine needs first.
    """

    folder: str
    file: str
    verbs: dict[str, str]
    query: str
    site: str
    before: str = "true"

    def built(self, out: Path, release: int = 1) -> list[Path]:
        """The packages of this tree."""
        build = ROOT / "packaging" / self.folder / "build"
        subprocess.run([build, out, str(release)], check=True, capture_output=True, timeout=300)
        return sorted(out.glob(self.file.format(release=release)))

    def command(self, verb: str, packages: Sequence[object]) -> str:
        """For a shell on a node, as root."""
        return f"{self.before}; {self.verbs[verb]} {shlex.join(map(str, packages))} 2>&1"


_RPM = "rpm --dbpath /var/lib/rpm"
RPM = Format(
    folder="rpm",
    file="*-{release}.noarch.rpm",
    # Their needs are EL's packages, which are not here: what muster imports comes from the tests' environment.
    verbs={verb: f"{_RPM} --{verb} --nodeps" for verb in ("install", "upgrade", "erase")},
    query=f"{_RPM} -qa",
    site=_EL_SITE,
    before=f"printf '%s\\n' {_EL_SITE} {sysconfig.get_path('purelib')} >/usr/lib/python3/dist-packages/bed.pth",
)
_DPKG = "DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io"
DEB = Format(
    folder="deb",
    file="*-{release}_all.deb",
    # With Debian's own openstacksdk and the rest of what it needs.
    verbs={"install": f"{_DPKG} --install", "upgrade": f"{_DPKG} --install", "erase": f"{_DPKG} --remove"},
    query="dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' 'muster*' fence-agents-muster | sed -n 's/^.i  //p'",
    site="/usr/lib/python3/dist-packages",
)
FORMATS = {one.folder: one for one in (RPM, DEB)}
