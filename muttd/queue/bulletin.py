"""Short news between the daemons of a cluster: "the rules have changed".

    announce(topic) --> every other daemon: what it does when it hears of that topic

News carry no content: whoever hears of a topic looks at the truth, in the store. They may come
twice, and may be missed while Redis is away; after that every topic is heard of once more.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol


class Topic(enum.StrEnum):
    """What there is to tell."""

    RULES = "rules"  # rules, development hosts or teams have changed
    DYNAMIC = "dynamic"  # a value of the dynamic configuration has changed
    ACCESS = "access"  # a key was made or revoked, or a session ended
    VIEWERS = "viewers"  # somebody has begun to watch live events


class Bulletin(Protocol):
    """What tellers and listeners need of it."""

    def announce(self, topic: Topic) -> None:
        """Tell every other daemon. Never waits, never raises."""
        ...

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        """Have `heard` called whenever another daemon announces the topic."""
        ...


class NoBulletin:
    """There is no other daemon: the embedded backend."""

    def announce(self, topic: Topic) -> None:
        """Tell nobody."""

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        """Hear of nothing."""
