"""Which events expressions may match that no literal tells apart: one pass over some at once.

    texts of the events, one below the other --RegexSet--> nothing found: none of them
                                                       '-> something: all of them are proposed

It proposes too much and never misses, as its RegexSet does: the engine, too, has the texts of an
event searched one below the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from muttd.event import Event
from muttd.rules.regex_set import RegexSet
from muttd.rules.texts import message_of, texts_of

# Searched at once. The more, the less of the time is a call's own; and the more are proposed for
# the sake of one.
_GROUP_EVENTS = 16


class TextSieve:
    """Lets through what any of the expressions may match.

    Args:
        expressions: Some that RE2 accepts.

    Attributes:
        is_blind: There is one that it cannot search for; then everything may match.
    """

    def __init__(self, expressions: Iterable[str]) -> None:
        self._set = RegexSet(dict(enumerate(expressions)))
        self.is_blind = bool(self._set.left_out)

    def candidates(self, events: Sequence[Event]) -> list[int]:
        """The places of those that may match, rising."""
        texts = [texts_of(event) for event in events]
        if self._set.is_anchored:
            texts = [
                (*of_one, message_of(each)) for of_one, each in zip(texts, events, strict=True)
            ]
        found: list[int] = []
        for start in range(0, len(events), _GROUP_EVENTS):
            group = texts[start : start + _GROUP_EVENTS]
            keys: set[int] = set()
            lines = "\n".join([text for of_one in group for text in of_one])
            self._set.add_keys_of(lines.encode("utf-8", "replace"), keys)
            if keys:
                found += range(start, start + len(group))
        return found
