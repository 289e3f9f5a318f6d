"""What came of every text, on disk, so that a text is parsed once and a restart parses nothing.

<state directory>/mibs.compiled/<digest>-<parser>    Parsed, MessagePack
<state directory>/mibs.compiled/in-force             Kept: names before anything is looked at
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Set
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import msgspec

from muttd.mibs.link import Linked
from muttd.mibs.module import Parsed

T = TypeVar("T")

# Raised when what is kept would be read otherwise, or made otherwise of the same text.
_FORM = 1
_IN_FORCE = "in-force"

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What was in force last.

    Attributes:
        form: Of this file; another one is not read.
        good: Source -> digest of its last text that was a MIB.
        linked: What came of them.
        of_operators: OID -> severity.
    """

    form: int = _FORM
    good: dict[str, str]
    linked: Linked
    of_operators: dict[str, int]


def digest_of(octets: bytes) -> str:
    """What a text is known by."""
    return hashlib.sha256(octets).hexdigest()


class MibShelf:
    """The directory of what was compiled. All of it blocks; a failure is logged, and costs time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Another parser may read the same text otherwise.
        self._ending = f"-{_FORM}-{version('pysmi')}"

    def has(self, digest: str) -> bool:
        """Whether the text was parsed before."""
        return (self._directory / (digest + self._ending)).exists()

    def load(self, digest: str) -> Parsed | None:
        """What came of a text."""
        return self._load(digest + self._ending, Parsed)

    def save(self, digest: str, parsed: Parsed) -> None:
        """Keep what came of a text."""
        self._save(digest + self._ending, parsed)

    def load_kept(self) -> Kept | None:
        """What was in force last."""
        kept = self._load(_IN_FORCE, Kept)
        return kept if kept is not None and kept.form == _FORM else None

    def save_kept(self, kept: Kept) -> None:
        """Keep what is in force, and nothing of texts that are gone."""
        self._save(_IN_FORCE, kept)

    def forget_all_but(self, digests: Set[str]) -> None:
        """Remove what came of texts that nobody has any more."""
        names = {digest + self._ending for digest in digests} | {_IN_FORCE}
        try:
            for path in self._directory.iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as exc:
            _log.error("mibs: %s: %s", self._directory, exc.strerror)

    def _load(self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.msgpack.decode((self._directory / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            _log.error("mibs: %s cannot be read: %s", self._directory / name, exc)
            return None

    def _save(self, name: str, value: object) -> None:
        path = self._directory / name
        draft = path.with_name(name + ".new")
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            # Not synchronised: what a power cut takes is made again.
            draft.write_bytes(msgspec.msgpack.encode(value))
            os.replace(draft, path)
        except OSError as exc:
            _log.error("mibs: %s cannot be written: %s", path, exc.strerror)
