"""The last good rules on disk: what decides when the daemon starts and the store is away.

<state directory>/rules.snapshot     MessagePack: [form, when, RuleBook]; replaced whole
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

import msgspec

from muttd.event import utc_now
from muttd.rules.model import RuleBook

# Raised when an older program could not read what this one writes.
_FORM = 1

_log = logging.getLogger(__name__)


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """What the file holds.

    Attributes:
        form: Of the file; another one is not read.
        taken_at: When the store was known to say so; aware, UTC.
        book: The rules.
    """

    form: int
    taken_at: datetime
    book: RuleBook


def save_snapshot(path: Path, book: RuleBook) -> None:
    """Replace the snapshot. Blocks. A failure is logged: what is in force does not hang on it."""
    draft = path.with_name(path.name + ".new")
    octets = msgspec.msgpack.encode(Snapshot(_FORM, utc_now(), book))
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            # Before the rename: after a power cut the name must not lead to an empty file.
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        _log.error("rules: the snapshot %s cannot be written: %s", path, exc.strerror)


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot; None when there is none that can be read. Blocks."""
    try:
        snapshot = msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except OSError as exc:
        _log.error("rules: the snapshot %s cannot be read: %s", path, exc.strerror)
        return None
    except msgspec.MsgspecError as exc:
        _log.error("rules: the snapshot %s is of no use: %s", path, exc)
        return None
    if snapshot.form != _FORM:
        _log.error("rules: the snapshot %s has form %d, not %d", path, snapshot.form, _FORM)
        return None
    return snapshot
