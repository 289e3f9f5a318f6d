"""A board on which every daemon says how it is, for the others to show.

post(document) --> [ one place per daemon ] --> read(): what each said last, and how long ago
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Posted:
    """What one daemon said last.

    Attributes:
        instance_id: Whose it is.
        age_s: How long ago, by the board's clock.
        document: As it was posted.
    """

    instance_id: str
    age_s: float
    document: bytes


class PeerBoard(Protocol):
    """Where daemons that work together see each other."""

    async def post(self, document: bytes) -> None:
        """Replace what this daemon said.

        Raises:
            StoreUnavailable: The board is away.
        """
        ...

    async def leave(self) -> None:
        """Take this daemon's place off the board. Raises StoreUnavailable."""
        ...

    async def read_others(self) -> list[Posted]:
        """What every other daemon said last, those that fell silent included for a while.

        Raises:
            StoreUnavailable: The board is away.
        """
        ...


class NoPeers:
    """There is no other daemon: the embedded backend."""

    async def post(self, document: bytes) -> None:
        """Tell nobody."""

    async def leave(self) -> None:
        """Leave nothing."""

    async def read_others(self) -> list[Posted]:
        """Nobody."""
        return []
