# SPDX-License-Identifier: Apache-2.0
"""One operation on a running bed: ``python -m tests.bed.nova.ctl boot host=compute-1 count=3``.

A value is JSON where it can be read so, text otherwise.  Standard library only.
"""

import argparse
import json
import os
import sys

from tests.bed.nova.client import BedError, control


def pair(text: str) -> tuple:
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text}: not name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m tests.bed.nova.ctl", description="one operation on a running bed")
    p.add_argument("--url", default=os.environ.get("MUSTER_BED_CONTROL"), help="control URL [$MUSTER_BED_CONTROL]")
    p.add_argument("op", help="operation, e.g. info, truth, violations, power_off")
    p.add_argument("arguments", nargs="*", type=pair, metavar="name=value")
    options = p.parse_args()
    if not options.url:
        p.error("no --url and no MUSTER_BED_CONTROL")
    try:
        print(json.dumps(control(options.url, options.op, **dict(options.arguments)), indent=1))
    except BedError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
