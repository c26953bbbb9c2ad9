# SPDX-License-Identifier: Apache-2.0
"""The control port: POST {"op": name, ...}, answered with {"ok", "result", "seconds"} or {"ok", "error", "traceback"}."""

import json
import logging
import time
import traceback

from tests.bed.nova.operations import OPERATIONS

LOG = logging.getLogger(__name__)


class Control:
    def __init__(self, bed):
        # They register themselves, and import nova-api: only after Nova has been configured.
        from tests.bed.nova import clone, cloud_ops, host_ops, reset, server_ops  # noqa: F401

        self._bed = bed

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        begin = time.monotonic()
        try:
            arguments = json.loads(environ["wsgi.input"].read(length) or b"{}")
            result = OPERATIONS[arguments.pop("op", "info")](self._bed, **arguments)
            out = {"ok": True, "result": result, "seconds": round(time.monotonic() - begin, 4)}
        except Exception as exc:
            LOG.exception("control")
            out = {"ok": False, "error": repr(exc), "traceback": traceback.format_exc()}
        data = json.dumps(out, default=str).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        start_response("200 OK" if out["ok"] else "500 Error", headers)
        return [data]
