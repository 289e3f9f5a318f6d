"""Severities and facilities as people type them."""

from __future__ import annotations

import argparse

import pytest

from muttd.commands.severity import facility_number, severity_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("7", 7), ("err", 3), ("Error", 3), ("WARN", 4), ("panic", 0)]
)
def test_a_severity_is_a_number_or_a_name(text: str, number: int) -> None:
    assert severity_number(text) == number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("23", 23), ("local7", 23), ("cron", 9)])
def test_a_facility_is_a_number_or_a_name(text: str, number: int) -> None:
    assert facility_number(text) == number


@pytest.mark.parametrize("text", ["8", "-1", "", "bad"])
def test_another_word_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="0 to 7 or one of emerg"):
        severity_number(text)
