"""muttd dlq: the command line. What it does to a daemon is in acceptance/test_dead_letters.py."""

from __future__ import annotations

import pytest

from muttd.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("discard", "x", "--all"),
        ("replay", "x", "--kind", "event"),
        ("discard", "x", "--destination", "moog"),
    ],
)
def test_a_wrong_choice_is_a_wrong_command_line(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dlq", *arguments], {}) == 64
    assert capsys.readouterr().err.startswith("muttd: ")
