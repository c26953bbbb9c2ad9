# SPDX-License-Identifier: Apache-2.0
"""Runs a real Nova in one process, for tests: ``.venv-nova/bin/python -m tests.bed.nova``, at the root of the repository.

When everything answers, the bed prints one line of JSON with its addresses and hosts.  SIGTERM, SIGINT or the operation
"quit" stops the bed; it then removes its directory.
"""

import argparse
import gc
import json
import os
import select
import signal
import sys
import threading
import time
from importlib import metadata

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def parse(argv):
    p = argparse.ArgumentParser(prog="python -m tests.bed.nova", description=__doc__)
    p.add_argument(
        "--hosts", default="compute-1,compute-2,compute-3", help="names of the compute hosts, with commas [%(default)s]"
    )
    p.add_argument(
        "--port",
        type=int,
        default=0,
        help="first of four ports in a row: compute, identity, placement, control [free ones]",
    )
    p.add_argument("--report-interval", type=float, default=1.0, help="seconds between two heartbeats [%(default)s]")
    p.add_argument(
        "--service-down-time",
        type=float,
        default=3.0,
        help="Nova calls a service down after so many seconds without a heartbeat [%(default)s]",
    )
    p.add_argument(
        "--first-report",
        type=float,
        default=0.1,
        help="seconds from the start of a nova-compute to its first heartbeat; 5 in Nova itself [%(default)s]",
    )
    p.add_argument(
        "--rpc-timeout", type=int, default=10, help="seconds that a service waits for a reply of another [%(default)s]"
    )
    p.add_argument("--token-ttl", type=int, default=3600, help="seconds that a token is valid [%(default)s]")
    p.add_argument(
        "--token-cache-time",
        type=int,
        default=300,
        help="seconds that nova-api keeps a token in its cache; -1: no cache [%(default)s]",
    )
    p.add_argument(
        "--max-microversion", help="the newest microversion that the API offers, for instance 2.79 [Nova's newest]"
    )
    p.add_argument("--periodic", action="store_true", help="also run Nova's periodic tasks")
    p.add_argument("--exact", action="store_true", help="run Nova without the shortcuts that speed.py makes")
    p.add_argument("--debug", action="store_true", help="write debug lines into nova.log")
    p.add_argument(
        "--schema-cache",
        default=os.path.join(ROOT, ".cache", "nova-schema"),
        help="where the bed keeps the empty databases for the next start [%(default)s]",
    )
    p.add_argument("--ready-file", help="write the line of JSON into this file, too, when everything answers")
    p.add_argument("--die-with-stdin", action="store_true", help="stop the bed when its standard input ends")
    options = p.parse_args(argv)
    options.hosts = options.hosts.split(",")
    return options


def run_with_threads():
    """Native ones, from release 33 on; before, Nova's services know eventlet's only.

    This has to be said before anything of Nova is imported.
    """
    if int(metadata.version("nova").partition(".")[0]) >= 33:
        os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
    from nova import monkey_patch

    if hasattr(monkey_patch, "patch"):
        monkey_patch.patch()


def make_bed(options):
    run_with_threads()
    if not options.exact:
        from tests.bed.nova import speed

        speed.light_fixtures()
    from tests.bed.nova import server

    return server.make(options)


def announce(bed, options, begin):
    info = bed.info()
    info["start_s"]["total"] = round(time.monotonic() - begin, 3)
    line = json.dumps(info)
    if options.ready_file:
        with open(options.ready_file + ".new", "w", encoding="utf-8") as file:
            file.write(line)
        os.rename(options.ready_file + ".new", options.ready_file)
    print(line, flush=True)


def main(argv=None):
    begin = time.monotonic()
    options = parse(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.disable()  # nothing of what start-up makes is garbage
    bed = make_bed(options)
    if options.die_with_stdin:
        # A parent that dies, whatever of, closes the pipe; a bed that is still starting goes down as well.
        # Nothing is ever written there; a read would stop all of eventlet's threads.
        threading.Thread(target=lambda: (select.select([sys.stdin], [], []), end(bed)), daemon=True).start()
    try:
        bed.start()
        if options.max_microversion:
            from tests.bed.nova import cloud_ops

            cloud_ops.max_microversion(bed, options.max_microversion)
    except BaseException:
        bed.stop()
        raise
    gc.freeze()
    gc.enable()
    announce(bed, options, begin)
    stop.wait()
    end(bed)


def end(bed):
    bed.stop()
    # Threads of dead nova-computes wait for ever, on purpose: nothing here can be joined.
    os._exit(0)


if __name__ == "__main__":
    main()
