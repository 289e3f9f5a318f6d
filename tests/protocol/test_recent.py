"""A mapping of bounded size."""

from __future__ import annotations

from muttd.protocol.recent import Recent


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    assert len(recent) == 2


def test_an_entry_that_is_replaced_takes_no_second_place() -> None:
    recent: Recent[str, int] = Recent(2)
    for number in range(3):
        recent.put("a", number)
    recent.put("b", 9)
    assert (recent.get("a"), recent.get("b"), len(recent)) == (2, 9, 2)


def test_everything_can_be_forgotten() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.clear()
    assert recent.get("a") is None
    assert len(recent) == 0
