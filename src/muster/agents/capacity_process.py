# SPDX-License-Identifier: Apache-2.0
"""Finds out beside the worker how many hosts may die together, and says it in one line of JSON.  Changes nothing."""

from __future__ import annotations

import gc
import json
import sys
import time

from muster import settings as settings_module
from muster.core.errors import MusterError
from muster.log import Log
from muster.reporting.documents import as_json
from muster.wiring import lookups


def main() -> int:
    """Standard input has the worker's parameters, as in the agent's environment; the arguments are this controller and
    the worker's resource.

    :returns: 0, or 1 where the last line says why it was not found out.
    """
    gc.disable()  # hundreds of thousands of values without cycles, and then this process ends
    code, line = _find(*sys.argv[1:])
    sys.stdout.write(f"{line}\n")
    return code


def _find(local: str, instance: str) -> tuple[int, str]:
    try:
        settings = settings_module.from_environment(json.load(sys.stdin))
        found = as_json(lookups.known_capacity(settings, local, instance))
    except MusterError as exc:
        return 1, str(exc)
    except Exception as exc:
        Log("muster").exception("capacity failed")
        return 1, f"{type(exc).__name__}: {exc}"
    return 0, json.dumps({**found, "cpu_s": round(time.process_time(), 3)})


if __name__ == "__main__":
    sys.exit(main())
