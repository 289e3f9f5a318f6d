"""Object identifiers: one normal form, and the tree that finds every prefix of one.

.1.3.6.1.4.1.9.*   ->   1.3.6.1.4.1.9      what an operator may write, what we keep

1 -> 3 -> 6 -> 1 -> 4 -> 1 -> 9 -> 9       compared arc by arc: ...1.9 is no prefix of ...1.99
"""

from __future__ import annotations

import re

# RFC 2578, 3.5: at most 128 sub-identifiers, each at most 2^32 - 1.
MAX_ARCS = 128
MAX_ARC = 2**32 - 1

_DIGITS = re.compile(r"[0-9]{1,10}")


def normalised_oid(text: str) -> str:
    """Bring an OID or OID prefix to its normal form: no leading dot, no trailing dot or ".*".

    Raises:
        ValueError: It is no OID; the text says why, for a human.

    Source: RFC 2578, 3.5; X.660, 7.6 for the first two arcs.
    """
    core = text.strip().removesuffix(".*").removesuffix(".").removeprefix(".")
    if not core:
        raise ValueError("an OID needs at least one number, such as 1.3.6.1.4.1.9")
    arcs = []
    for arc in core.split("."):
        if _DIGITS.fullmatch(arc) is None:
            raise ValueError(
                f"{arc!r} is not a number; an OID is numbers with dots, such as 1.3.6.1.4.1.9"
            )
        arcs.append(int(arc))
    if len(arcs) > MAX_ARCS:
        raise ValueError(f"an OID has at most {MAX_ARCS} numbers, this one has {len(arcs)}")
    if max(arcs) > MAX_ARC:
        raise ValueError(f"{max(arcs)} is above {MAX_ARC}, the largest number an OID may hold")
    if arcs[0] > 2 or (arcs[0] < 2 and len(arcs) > 1 and arcs[1] > 39):
        raise ValueError("an OID starts with 0, 1 or 2, and after 0 or 1 comes at most 39")
    return ".".join(map(str, arcs))


class _Node:
    __slots__ = ("arcs", "keys")

    def __init__(self) -> None:
        self.arcs: dict[str, _Node] = {}
        self.keys: list[int] = []


class OidTree:
    """Keys by OID prefix. Looking up walks the arcs of one OID once, whatever the tree holds."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, prefix: str, key: int) -> None:
        """Add a key under a prefix in its normal form."""
        node = self._root
        for arc in prefix.split("."):
            node = node.arcs.setdefault(arc, _Node())
        node.keys.append(key)

    def keys_of(self, oid: str) -> list[int]:
        """Every key whose prefix is this OID or one above it. A leading dot is no matter."""
        keys: list[int] = []
        arcs = self._root.arcs
        for arc in oid.strip(".").split("."):
            node = arcs.get(arc)
            if node is None:
                break
            if node.keys:
                keys += node.keys
            arcs = node.arcs
        return keys
