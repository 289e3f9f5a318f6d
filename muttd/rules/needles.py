"""Thousands of literals searched for in one pass, each leading to its keys.

Literals and text are compared casefolded: str.casefold() maps every character by itself, so a
literal in a text stays in it when both are folded. (str.lower() does not: a final sigma depends
on what stands around it.)

Any text is searched by Aho-Corasick. Of many texts those in ASCII, which are nearly all, are
searched together by Hyperscan, in a fifth of the time; there to fold is to ignore the case.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import hyperscan
from ahocorasick_rs import AhoCorasick

# Whatever may mean something in an expression.
_SPECIAL = re.compile(r"\W")


class Needles:
    """Keys by literal.

    Args:
        pairs: Literals, casefolded and not empty, each with one of its keys.
    """

    __slots__ = ("_automaton", "_database", "_keys", "_lengths", "_lock")

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        keys: dict[str, list[int]] = {}
        for literal, key in pairs:
            keys.setdefault(literal, []).append(key)
        self._keys = [tuple(of_one) for of_one in keys.values()]
        self._lengths = [len(literal) for literal in keys]
        self._automaton = AhoCorasick(list(keys)) if keys else None
        self._database = _database(list(keys))
        # One scratch space per database: two threads must not scan with it at once.
        self._lock = threading.Lock()

    def add_keys_of(self, folded: str, found: set[int]) -> None:
        """Add to `found` the keys of every literal that the casefolded text holds."""
        if self._automaton is not None:
            keys = self._keys
            for index, _, _ in self._automaton.find_matches_as_indexes(folded, overlapping=True):
                found.update(keys[index])

    def find_in_ascii(self, texts: Sequence[str]) -> dict[int, set[int]]:
        """By place in `texts`, the keys of every literal in each; of those in which there are any.

        Args:
            texts: In ASCII, as they came.

        """
        if self._database is None:
            return self._find_each(texts)
        keys, lengths = self._keys, self._lengths
        # Where each text ends, were they one behind the other with a character between.
        ends = list(accumulate(texts, lambda end, text: end + 1 + len(text), initial=-1))
        found: dict[int, set[int]] = {}

        def note(index: int, _: int, end: int, *_rest: object) -> None:
            place = bisect_left(ends, end) - 1
            # A literal may hold the character that stands between two texts.
            if end - lengths[index] > ends[place]:
                found.setdefault(place, set()).update(keys[index])

        with self._lock:
            self._database.scan("\n".join(texts).encode(), match_event_handler=note)
        return found

    def _find_each(self, texts: Sequence[str]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        for place, text in enumerate(texts):
            self.add_keys_of(text.casefold(), found.setdefault(place, set()))
        return found


def _database(literals: Sequence[str]) -> hyperscan.Database | None:
    # Whatever is not ASCII is in no text that is.
    chosen = {place: _as_expression(one) for place, one in enumerate(literals) if one.isascii()}
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    if not chosen:
        return None
    try:
        database.compile(
            expressions=list(chosen.values()),
            ids=list(chosen),
            elements=len(chosen),
            flags=hyperscan.HS_FLAG_CASELESS,
        )
    except hyperscan.error:
        return None
    return database


def _as_expression(literal: str) -> bytes:
    # The binding has an interface for literals; it ends them at their first NUL.
    return _SPECIAL.sub(lambda match: f"\\x{ord(match[0]):02x}", literal).encode()
