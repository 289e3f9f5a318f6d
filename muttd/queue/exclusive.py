"""A lock that one process holds for its life, and that dies with it.

flock(2) belongs to the open file: the kernel drops it when the process ends, by kill -9 too, so
that no stale lock is ever left. What is written in the file is only there to be read by people.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from muttd.errors import StoreRefused


@contextmanager
def hold_exclusively(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` until the block ends.

    Raises:
        StoreRefused: Another process holds it (the text says which), or it cannot be opened.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreRefused(f"{path} cannot be opened: {exc.strerror}") from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(lock, 200, 0).decode(errors="replace").strip()
            raise StoreRefused(
                f"{path.parent} is in use by {holder or 'another muttd'}:"
                " one state directory serves one daemon"
            ) from exc
        _introduce(lock)
        yield
    finally:
        # Closing is unlocking. The file stays: removing it would let two processes each hold a
        # lock on a file of this name.
        os.close(lock)


def _introduce(lock: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"muttd, process {os.getpid()}, since {since}\n".encode(), 0)
    except OSError:
        # A full disk. The lock holds without its text, and the queue reports the disk itself.
        return
