"""The cases of tests/corpus/traps: octets of one datagram each, and what they must become.

input.hex holds the datagram; expected.json either what the notification says, or the class and the
text of the error.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muttd.protocol import mib as mib_module
from muttd.protocol.mib import TABLE_FILE_NAME, Mib

_CORPUS = Path(__file__).parent.parent / "corpus" / "traps"
_TABLE = Path(mib_module.__file__).with_name(TABLE_FILE_NAME)


@dataclass(frozen=True, slots=True)
class Case:
    """One directory of the corpus."""

    name: str
    octets: bytes
    expected: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return "error" not in self.expected

    def __str__(self) -> str:
        return self.name


def _read(folder: Path) -> Case:
    octets = bytes.fromhex((folder / "input.hex").read_text())
    return Case(folder.name, octets, json.loads((folder / "expected.json").read_text()))


CASES = [_read(folder) for folder in sorted(_CORPUS.iterdir())]
GOOD = [case for case in CASES if case.is_good]
BAD = [case for case in CASES if not case.is_good]


@functools.cache
def shipped_mib() -> Mib:
    """The Mib of the table that comes with the package."""
    return Mib.from_octets(_TABLE.read_bytes())
