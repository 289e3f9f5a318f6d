"""The last good rules on disk: what decides when the daemon starts and the store is away.

<state directory>/rules.snapshot     MessagePack: [form, when, RuleBook]; replaced whole
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

import msgspec

from muttd.event import utc_now
from muttd.rules.model import RuleBook
from muttd.workers.snapshot_file import read_snapshot, write_snapshot

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
    write_snapshot(path, msgspec.msgpack.encode(Snapshot(_FORM, utc_now(), book)))


def load_snapshot(path: Path) -> Snapshot | None:
    """The snapshot; None when there is none that can be read. Blocks."""
    snapshot = read_snapshot(path, Snapshot)
    if snapshot is not None and snapshot.form != _FORM:
        _log.error("the snapshot %s has form %d, not %d", path, snapshot.form, _FORM)
        return None
    return snapshot
