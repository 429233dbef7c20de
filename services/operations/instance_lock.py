"""The lock of a running instance: a file that the operating system unlocks when its process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import Conflict

LOCK_NAME = "coffer.lock"


@contextmanager
def instance_lock(instance_dir: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the instance for this process; ``shared`` with other servers on one PostgreSQL.

    Raises Conflict, naming the process, where another holds it.
    """
    path = instance_dir / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path, shared)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, shared: bool) -> None:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = path.read_text().strip() or "unknown"
        raise Conflict(f"An instance runs on {path.parent} already (process {holder}).") from None
