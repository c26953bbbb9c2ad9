# SPDX-License-Identifier: Apache-2.0
"""The bed's directory in memory, its databases, and the cache of their empty schemas.

A directory whose server was killed is removed by the next server that starts: its lock is free then.
"""

import fcntl
import glob
import hashlib
import os
import shutil
import sqlite3
import tempfile

DATABASES = ("api", "cell0", "cell1", "placement")
CACHED = ("api", "cell1", "placement")  # cell0 is a copy of cell1
_PREFIX = "muster-bed-"
_held_locks = []


def make_state_dir():
    """A new private directory, in /dev/shm where there is one."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    _remove_orphans(base)
    path = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
    fresh = os.path.join(path, "lock.new")
    lock = open(fresh, "w")  # noqa: SIM115  held as long as the process lives
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(fresh, os.path.join(path, "lock"))  # under its final name it is locked already
    _held_locks.append(lock)
    return path


def _remove_orphans(base):
    for name in glob.glob(os.path.join(base, _PREFIX + "*", "lock")):
        try:
            with open(name) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(os.path.dirname(name), ignore_errors=True)
        except OSError:
            continue  # alive, or somebody else's, or removed meanwhile


def database(state_dir, name):
    return os.path.join(state_dir, name + ".sqlite")


def select(state_dir, name, query, args=()):
    """Rows of a SELECT as dictionaries, seen from outside Nova."""
    if not query.lstrip().lower().startswith("select"):
        raise ValueError("only SELECT")
    db = sqlite3.connect(f"file:{database(state_dir, name)}?mode=ro", uri=True, timeout=30)
    try:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query, args)]
    finally:
        db.close()


class change:
    """One write transaction in a database, as a context manager."""

    def __init__(self, state_dir, name):
        self._path = database(state_dir, name)

    def __enter__(self):
        self._db = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        self._db.execute("begin immediate")
        return self._db

    def __exit__(self, kind, _exc, _trace):
        self._db.execute("rollback" if kind else "commit")
        self._db.close()


# -------------------------------------------------------------- schema cache
def cached_schema(cache_dir, versions):
    """The directory that holds, or will hold, the empty databases of these versions."""
    key = hashlib.sha256(repr(versions).encode()).hexdigest()[:16]
    return os.path.join(cache_dir, key)


def copy_schema(cached, state_dir):
    """Fill the state directory from the cache; False if there is nothing to copy."""
    if not os.path.isdir(cached):
        return False
    for name in CACHED:
        shutil.copyfile(os.path.join(cached, name + ".sqlite"), database(state_dir, name))
    shutil.copyfile(database(state_dir, "cell1"), database(state_dir, "cell0"))
    return True


def keep_schema(cached, state_dir):
    """Put the (still empty) databases into the cache: a rename, so that concurrent runs see all or nothing."""
    parent = os.path.dirname(cached)
    os.makedirs(parent, exist_ok=True)
    fresh = tempfile.mkdtemp(prefix=".new-", dir=parent)
    for name in CACHED:
        path = database(state_dir, name)
        db = sqlite3.connect(path)
        db.execute("pragma wal_checkpoint(truncate)")
        db.close()
        shutil.copyfile(path, database(fresh, name))
    try:
        os.rename(fresh, cached)
    except OSError:
        shutil.rmtree(fresh)  # another run was faster
