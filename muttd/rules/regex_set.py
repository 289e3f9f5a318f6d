"""Expressions that no literal tells apart, searched for in one pass (Hyperscan).

Hyperscan only proposes; RE2 decides. So it may propose too much, and it must never miss: it is
given only expressions that are written in what both engines read alike, and the rest is
returned to the caller, who tries them one by one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

import hyperscan

# PCRE and RE2 differ in \\S (vertical tab), \\B, Unicode classes, \\x, \\Q..\\E, \\C and flags;
# "$" before a newline is one more proposal and harmless.
_CLASS = r"\[\^?\]?(?:[^\\\[\]]|\\[dw]|\\[^a-zA-Z0-9])*\]"
_COMMON = re.compile(rf"(?:[^\\\[(]|\\[dwsb]|\\[^a-zA-Z0-9]|\((?!\?)|\(\?:|{_CLASS})*")

# Long s and Kelvin sign: without regard to case they are s and k, and so they are in \\w and [a-z]
# to RE2, but not to Hyperscan. No log holds them; where one does, everything is proposed.
_FOLDED_APART = ("\u017f".encode(), "\u212a".encode())

_FLAGS = (
    hyperscan.HS_FLAG_CASELESS
    | hyperscan.HS_FLAG_UTF8
    | hyperscan.HS_FLAG_MULTILINE
    | hyperscan.HS_FLAG_SINGLEMATCH
    | hyperscan.HS_FLAG_ALLOWEMPTY
)


class RegexSet:
    """Keys by expression.

    Args:
        patterns: Expressions that RE2 accepts, by key.

    Attributes:
        left_out: Keys of expressions that must be tried one by one.
        is_anchored: Whether any expression may depend on where a line begins.
    """

    __slots__ = ("_database", "_keys", "_lock", "is_anchored", "left_out")

    def __init__(self, patterns: Mapping[int, str]) -> None:
        common = {
            key: pattern.encode()
            for key, pattern in patterns.items()
            if pattern.isascii() and _COMMON.fullmatch(pattern) is not None
        }
        # One scratch space per database: two threads must not scan with it at once.
        self._lock = threading.Lock()
        self._database = _database(common)
        if self._database is None:
            # One of them is beyond Hyperscan, and it does not say which.
            common = {key: octets for key, octets in common.items() if _database({key: octets})}
            self._database = _database(common)
        self._keys = tuple(common)
        self.is_anchored = any(b"^" in octets for octets in common.values())
        self.left_out = tuple(key for key in patterns if key not in common)

    def __bool__(self) -> bool:
        return self._database is not None

    def add_keys_of(self, octets: bytes, found: set[int]) -> None:
        """Add to `found` the keys of every expression that may match this UTF-8 text."""
        if any(letter in octets for letter in _FOLDED_APART):
            found.update(self._keys)
        elif self._database is not None:
            with self._lock:
                self._database.scan(octets, match_event_handler=lambda key, *_: found.add(key))


def _database(patterns: Mapping[int, bytes]) -> hyperscan.Database | None:
    if not patterns:
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=list(patterns.values()),
            ids=list(patterns),
            elements=len(patterns),
            flags=_FLAGS,
        )
    except hyperscan.error:
        return None
    return database
