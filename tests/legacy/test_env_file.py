"""An env file as systemd, docker and people write it."""

from __future__ import annotations

import pytest

from muttd.errors import InvalidInput
from muttd.legacy.env_file import read_env, without_comment


def test_every_way_to_write_a_value_is_read() -> None:
    text = (
        "# a comment \\\nA=1\n ; another\nexport B = two words\nC='as $it \"stands\"'\n"
        'D="a \\"b\\" \\$c"\nE=begun \\\n  and continued\nF=\nA=last\n'
    )
    assert read_env(text) == {
        "A": "last",
        "B": "two words",
        "C": 'as $it "stands"',
        "D": 'a "b" $c',
        "E": "begun   and continued",
        "F": "",
    }


def test_lines_that_are_none_are_named_and_not_quoted() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_env("A=1\nhunter2\nB=2 \\\nC=3\n-x=hunter3\n")
    assert [field for field, _ in caught.value.problems] == ["line 2", "line 5"]
    assert "hunter" not in str(caught.value)


def test_a_file_that_ends_in_a_backslash_has_its_last_line() -> None:
    assert read_env("A=1\\") == {"A": "1"}


@pytest.mark.parametrize(
    ("value", "left"), [("365   # days", "365"), ("a#b", "a#b"), ("# x", "# x")]
)
def test_a_comment_behind_a_value_is_cut_off(value: str, left: str) -> None:
    assert without_comment(value) == left
