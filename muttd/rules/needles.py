"""Thousands of literals searched for in one pass (Aho-Corasick), each leading to its keys.

Literals and text are compared casefolded: str.casefold() maps every character by itself, so a
literal in a text stays in it when both are folded. (str.lower() does not: a final sigma depends
on what stands around it.)
"""

from __future__ import annotations

from collections.abc import Iterable

from ahocorasick_rs import AhoCorasick


class Needles:
    """Keys by literal.

    Args:
        pairs: Literals, casefolded and not empty, each with one of its keys.
    """

    __slots__ = ("_automaton", "_keys")

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        keys: dict[str, list[int]] = {}
        for literal, key in pairs:
            keys.setdefault(literal, []).append(key)
        self._keys = [tuple(of_one) for of_one in keys.values()]
        self._automaton = AhoCorasick(list(keys)) if keys else None

    def add_keys_of(self, folded: str, found: set[int]) -> None:
        """Add to `found` the keys of every literal that the casefolded text holds."""
        if self._automaton is not None:
            keys = self._keys
            for index, _, _ in self._automaton.find_matches_as_indexes(folded, overlapping=True):
                found.update(keys[index])
