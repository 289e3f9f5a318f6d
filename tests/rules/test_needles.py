"""Literals searched for in one pass."""

from __future__ import annotations

from muttd.rules.needles import Needles


def keys_of(needles: Needles, text: str) -> set[int]:
    found: set[int] = set()
    needles.add_keys_of(text, found)
    return found


def test_every_literal_in_the_text_leads_to_all_its_keys() -> None:
    needles = Needles([("link", 1), ("ink", 2), ("link", 3), ("down", 4), ("up", 5)])
    assert keys_of(needles, "the link is down") == {1, 2, 3, 4}


def test_literals_inside_and_across_one_another_are_all_found() -> None:
    needles = Needles([("abab", 1), ("bab", 2), ("ba", 3), ("b", 4)])
    assert keys_of(needles, "xabab") == {1, 2, 3, 4}


def test_without_literals_nothing_is_found() -> None:
    assert keys_of(Needles([]), "anything") == set()
