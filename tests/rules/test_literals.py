"""Literals read off expressions: enough to be useful, and never wrong."""

from __future__ import annotations

import pytest
import re2

from muttd.rules.literals import required_literals


def literals(pattern: str) -> list[set[str]]:
    return [set(alternatives) for alternatives in required_literals(pattern)]


@pytest.mark.parametrize(
    ("pattern", "required"),
    [
        ("LINK down", [{"link down"}]),
        (
            r"%LINK-\d-(UP|DOWN)DOWN: .*Gi0/1",
            [{"%link-"}, {"-"}, {"up", "down"}, {"down: "}, {"gi0/1"}],
        ),
        ("ab+c", [{"ab"}, {"c"}]),
        ("ab*c", [{"a"}, {"c"}]),
        ("ab?c", [{"a"}, {"c"}]),
        ("ab{0,3}c", [{"a"}, {"c"}]),
        ("ab{2,}c", [{"ab"}, {"c"}]),
        ("ab+?c", [{"ab"}, {"c"}]),
        ("a{,5}", [{"a{,5}"}]),
        ("(abc)+d", [{"abc"}, {"d"}]),
        ("(abc)?d", [{"d"}]),
        ("(?:abc)(?P<name>def)(?i:ghi)(?<other>jkl)", [{"abc"}, {"def"}, {"ghi"}, {"jkl"}]),
        ("(?i)abc", [{"abc"}]),
        ("(?s-i:abc)", [{"abc"}]),
        ("abc|de", [{"abc", "de"}]),
        ("abc|(de|f)", [{"abc", "de", "f"}]),
        ("abc|.", []),
        ("a[bc]d", [{"a"}, {"d"}]),
        ("a[]b]d", [{"a"}, {"d"}]),
        ("a[^]b]d", [{"a"}, {"d"}]),
        (r"a[\]b]d", [{"a"}, {"d"}]),
        ("a[[:alpha:]]d", [{"a"}, {"d"}]),
        (r"a\.b", [{"a.b"}]),
        (r"a\d\pL\p{Greek}\x41\x{41}\101b", [{"a"}, {"b"}]),
        (r"^a\bb$", [{"a"}, {"b"}]),
        ("aéb", [{"a"}, {"b"}]),
        ("a\\éb", [{"a"}, {"b"}]),
        ("Kelvin", [{"kelvin"}]),
        # Not understood: nothing is known, which is never wrong.
        (r"\Qa.b\E", []),
        (r"\C", []),
        ("(" * 30 + "a" + ")" * 30, []),
        ("|".join(f"word{n}" for n in range(17)), []),
        ("(?:a|b|c|d|e|f|g|h|i)|(?:j|k|l|m|n|o|p|q|r)", []),
        # No expression that RE2 takes, and no harm done.
        ("a)b", []),
        ("(a", []),
        ("(?>a)", []),
        ("[a", []),
    ],
)
def test_what_every_match_must_hold_is_read_off(pattern: str, required: list[set[str]]) -> None:
    assert literals(pattern) == required


def test_ascii_is_folded_by_re2_onto_nothing_that_casefold_does_not_fold_too() -> None:
    """Literals are compared by str.casefold(): it must find whatever RE2 would."""
    everything = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)]))
    options = re2.Options()
    options.case_sensitive = False
    for letter in "abcdefghijklmnopqrstuvwxyz":
        found = re2.findall(letter, everything, options)
        assert len(found) >= 2
        assert {one.casefold() for one in found} == {letter}
