"""Literals searched for in one pass."""

from __future__ import annotations

import hyperscan
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muttd.rules.needles import Needles

# What two texts have between them, letters that ignore case, and some that are not ASCII.
LETTERS = st.text(alphabet="aAbB\n\0 \\.ßé", min_size=1, max_size=4)
ASCII = st.text(alphabet="aAbB\n\0 \\.", max_size=8)


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


@given(st.lists(LETTERS, max_size=8), st.lists(ASCII, max_size=6))
def test_many_texts_at_once_hold_what_each_of_them_holds(
    literals: list[str], texts: list[str]
) -> None:
    needles = Needles((literal.casefold(), key) for key, literal in enumerate(literals))
    expected = {place: keys_of(needles, text.casefold()) for place, text in enumerate(texts)}
    found = needles.find_in_ascii(texts)
    assert {place: found.get(place, set()) for place in expected} == expected


def test_what_hyperscan_does_not_take_is_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing:
        def __init__(self, **_: object) -> None:
            pass

        def compile(self, **_: object) -> None:
            raise hyperscan.error("too large")

    monkeypatch.setattr("hyperscan.Database", Refusing)
    needles = Needles([("link", 1), ("down", 2)])
    assert needles.find_in_ascii(["LINK down", "x"]) == {0: {1, 2}, 1: set()}
