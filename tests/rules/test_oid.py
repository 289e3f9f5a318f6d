"""OIDs in their normal form, and prefixes compared arc by arc."""

from __future__ import annotations

import pytest

from muttd.rules.oid import OidTree, normalised_oid


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("1.3.6.1.4.1.9", "1.3.6.1.4.1.9"),
        (".1.3.6", "1.3.6"),
        ("1.3.6.*", "1.3.6"),
        ("1.3.6.", "1.3.6"),
        (" .1.3.06.* ", "1.3.6"),
        ("1", "1"),
        ("2.999", "2.999"),
        ("1.39.4294967295", "1.39.4294967295"),
    ],
)
def test_an_oid_is_brought_to_its_normal_form(written: str, normal: str) -> None:
    assert normalised_oid(written) == normal


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "at least one number"),
        (".", "at least one number"),
        ("1.3..6", "'' is not a number"),
        ("1.3.x", "'x' is not a number"),
        ("1.*.3", "'\\*' is not a number"),
        ("IF-MIB::linkDown", "is not a number"),
        ("1.3.-1", "'-1' is not a number"),
        ("1.3.٣", "is not a number"),
        ("1.3.4294967296", "above 4294967295"),
        ("3.1", "starts with 0, 1 or 2"),
        ("1.40", "at most 39"),
        (".".join(["1"] * 129), "at most 128"),
    ],
)
def test_what_is_no_oid_is_refused_with_the_reason(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normalised_oid(written)


def test_a_prefix_is_compared_arc_by_arc() -> None:
    tree = OidTree()
    tree.add("1.3.6.1.4.1.9", 1)
    tree.add("1.3.6.1.4.1.9.9.41", 2)
    tree.add("1.3.6.1.4.1.9", 3)
    assert tree.keys_of("1.3.6.1.4.1.9.9.41.2.0.1") == [1, 3, 2]
    assert tree.keys_of("1.3.6.1.4.1.9") == [1, 3]
    assert tree.keys_of("1.3.6.1.4.1.99") == []
    assert tree.keys_of("1.3.6.1.4.1") == []


def test_a_leading_dot_of_the_event_is_no_matter() -> None:
    tree = OidTree()
    tree.add("1.3.6", 1)
    assert tree.keys_of(".1.3.6.1") == [1]
