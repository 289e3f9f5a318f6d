"""A mapping of bounded size: what was used longest ago is forgotten first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Recent(Generic[_K, _V]):
    """The entries that were used most recently.

    Args:
        limit: How many of them are kept; at least 1.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Insertion order is the order of use.
        self._entries: dict[_K, _V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: _K) -> _V | None:
        """The entry, now the one used last; or None."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._entries[name] = entry
        return entry

    def put(self, name: _K, entry: _V) -> None:
        """Add or replace an entry."""
        self._entries.pop(name, None)
        self._entries[name] = entry
        if len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
