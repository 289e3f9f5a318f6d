"""The directory that operators drop MIBs into: which texts are there, and which have changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

# What vendors and operators end them with; most have .mib, .my or .txt, or nothing.
SUFFIXES = frozenset({"", ".mib", ".txt", ".my", ".smi", ".asn", ".asn1", ".mi2"})
# All that net-snmp, LibreNMS and a dozen vendors ship together.
MAX_FILES = 10_000


class Stamp(NamedTuple):
    """What changes when a file does."""

    modified_ns: int
    octets: int
    inode: int


def find_texts(directory: Path) -> dict[str, Stamp]:
    """The texts below a directory, by their path from there; in order. Blocks.

    A directory that is missing, or cannot be read, has none. Hidden files, editors' backups and
    what has another suffix are no texts.
    """
    found: dict[str, Stamp] = {}
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            if name.startswith((".", "#")) or os.path.splitext(name)[1].lower() not in SUFFIXES:
                continue
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            relative = os.path.relpath(path, directory)
            found[relative] = Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
            if len(found) == MAX_FILES:
                # Somebody named a directory of other things.
                return found
    return found


def read_text(directory: Path, name: str, *, max_octets: int) -> bytes | None:
    """One of them, at most one octet more than is allowed; None when it cannot be read. Blocks."""
    try:
        with (directory / name).open("rb") as file:
            return file.read(max_octets + 1)
    except OSError:
        return None
