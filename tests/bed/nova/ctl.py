# SPDX-License-Identifier: Apache-2.0
"""Does one operation on a running bed: ``python -m tests.bed.nova.ctl boot host=compute-1 count=3``.

A value that is valid JSON is read as JSON; any other value is text.
"""

import argparse
import json
import os
import sys

from tests.bed.nova.client import BedError, control


def pair(text: str) -> tuple:
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text} is not of the form name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m tests.bed.nova.ctl", description=__doc__)
    p.add_argument(
        "--url",
        default=os.environ.get("MUSTER_BED_CONTROL"),
        help="address of the bed's control port [$MUSTER_BED_CONTROL]",
    )
    p.add_argument(
        "op",
        help="for instance info, truth, violations or power_off; the functions marked @operation in tests/bed/nova are all of them",
    )
    p.add_argument(
        "arguments", nargs="*", type=pair, metavar="name=value", help="an argument of the operation; may be repeated"
    )
    options = p.parse_args()
    if not options.url:
        p.error("which bed? Use --url, or set MUSTER_BED_CONTROL")
    try:
        print(json.dumps(control(options.url, options.op, **dict(options.arguments)), indent=1))
    except BedError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
