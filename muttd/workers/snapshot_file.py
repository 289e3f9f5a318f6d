"""A file that keeps what the store said last, for a start without the store. Replaced whole.

Reading and writing never raise, they log: what is in force does not hang on it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

_log = logging.getLogger(__name__)


def write_snapshot(path: Path, octets: bytes) -> None:
    """Replace the file. Blocks."""
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            # Before the rename: after a power cut the name must not lead to an empty file.
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        _log.error("the snapshot %s cannot be written: %s", path, exc.strerror)


def read_snapshot(path: Path, kind: type[T]) -> T | None:
    """What the file holds; None when there is none that can be read. Blocks."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as exc:
        _log.error("the snapshot %s cannot be read: %s", path, exc.strerror)
    except msgspec.MsgspecError as exc:
        _log.error("the snapshot %s is of no use: %s", path, exc)
    return None
