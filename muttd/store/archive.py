"""Files that old events are written to before they are dropped.

    <archive directory>/event_audit_log_2025_03.csv.gz

A file is there whole or not at all, and none is ever written over.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

from muttd.errors import StoreUnavailable

# Twice as fast as the default, and log lines shrink to a tenth anyway.
_COMPRESSION = 3


@contextmanager
def open_archive(directory: Path, name: str) -> Iterator[BinaryIO]:
    """Write one archive; it gets its name when the block ends well, and is on the disk by then.

    Args:
        directory: Made if it is not there.
        name: Without ".csv.gz". If a file has it, a number is added: it may hold the only copy
            of rows that were dropped.

    Raises:
        StoreUnavailable: The disk is full or not writable; the rows stay where they are.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Removed when it is closed; a crash leaves nothing but a name that is not an archive's.
        with NamedTemporaryFile(dir=directory, prefix=f".{name}.", suffix=".unfinished") as file:
            with gzip.GzipFile(name, "wb", _COMPRESSION, cast("BinaryIO", file)) as compressed:
                yield cast("BinaryIO", compressed)
            file.flush()
            os.fsync(file.fileno())
            _publish(Path(file.name), name)
    except OSError as exc:
        raise StoreUnavailable(f"{directory}: cannot archive: {exc.strerror}") from exc


def _publish(unfinished: Path, name: str) -> None:
    directory = unfinished.parent
    number = 1
    while True:
        path = directory / (f"{name}.csv.gz" if number == 1 else f"{name}-{number}.csv.gz")
        try:
            # Unlike a rename it fails when the name is taken.
            path.hardlink_to(unfinished)
            break
        except FileExistsError:
            number += 1
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
