"""DISPLAY-HINT: how octets and numbers are written (RFC 2579, 3.1)."""

from __future__ import annotations

import random

import pytest

from muttd.protocol.mib_hint import apply_integer_hint, apply_octet_hint, is_text_hint


@pytest.mark.parametrize(
    ("hint", "octets", "text"),
    [
        ("1x:", "001b21abcdef", "00:1b:21:ab:cd:ef"),
        ("1x:", "", ""),
        ("255a", "4769302f33", "Gi0/3"),
        ("255t", "42c3bc726f", "Büro"),
        ("255t", "42fc", "B\\xfc"),
        ("2d-1d-1d,1d:1d:1d.1d,1a1d:1d", "07e80305170d09002b0100", "2024-3-5,23:13:9.0,+1:0"),
        ("2d-1d-1d,1d:1d:1d.1d,1a1d:1d", "07e80305170d0900", "2024-3-5,23:13:9.0"),
        ("1d.1d.1d.1d:2d", "c00002010050", "192.0.2.1:80"),
        ("2x:2x:2x:2x:2x:2x:2x:2x", "20010db8000000000000000000000001", None),
        ("1d.1d.1d.1d", "c0000201", "192.0.2.1"),
        ("*1x:/1x:", "03aabbcc0102", "aa:bb:cc/01:02"),
        ("*1x:/1x:", "03aabbcc", "aa:bb:cc"),
        ("*1d:1a", "0207084142", "7:8:AB"),
        ("*1d:1a", "00", ""),
        ("1o", "0810", "1020"),
        ("2d", "010000ff", "256255"),
        ("0a1d", "4142", "AB"),
        ("20d", "01" * 20, "01" * 20),
    ],
)
def test_octets_are_written_as_their_hint_has_them(
    hint: str, octets: str, text: str | None
) -> None:
    expected = "2001:0db8:0000:0000:0000:0000:0000:0001" if text is None else text
    assert apply_octet_hint(hint, bytes.fromhex(octets)) == expected


@pytest.mark.parametrize("hint", ["", "x", "d-2", "1q", "1x:/", "1x:1", "255", "*"])
def test_a_hint_that_is_not_understood_is_no_hint_for_octets(hint: str) -> None:
    assert apply_octet_hint(hint, b"\x01\x02") is None
    assert not is_text_hint(hint)


@pytest.mark.parametrize(
    ("hint", "number", "text"),
    [
        ("d", 5, "5"),
        ("d-0", 5, "5"),
        ("d-1", 125, "12.5"),
        ("d-3", 5, "0.005"),
        ("d-2", -5, "-0.05"),
        ("x", 255, "ff"),
        ("o", 8, "10"),
        ("b", -5, "-101"),
        ("1x:", 5, "5"),
        ("", 5, "5"),
    ],
)
def test_numbers_are_written_as_their_hint_has_them(hint: str, number: int, text: str) -> None:
    assert apply_integer_hint(hint, number) == text


def test_only_a_hint_of_characters_throughout_means_text() -> None:
    assert is_text_hint("255a")
    assert is_text_hint("32t")
    assert not is_text_hint("1a1d")


def test_no_hint_and_no_octets_make_it_fail() -> None:
    rng = random.Random(2579)
    applied = 0
    for _ in range(10_000):
        parts = ("*", "0", "1", "2", "3", "1x", "2d", "1a", "3t", "1o", ":", "-", ".", "/")
        hint = "".join(rng.choices(parts, k=rng.randrange(1, 5)))
        text = apply_octet_hint(hint, rng.randbytes(rng.randrange(64)))
        applied += text is not None
    assert applied > 1000
