"""Conditions, pages and cursors of the embedded store's lists.

Where            column conditions with their parameters, joined by AND
cursor           base64url of [list name, key of the last row shown]: what follows that key
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from muttd.errors import InvalidInput
from muttd.store.contract import MAX_PAGE_ITEMS, Window

# SQLite's integers have 64 bits. A client may ask for rule 10**30; there is none.
MAX_INTEGER = 2**63 - 1
# RFC 1035, 2.3.4: names have at most 255 octets. SQLite refuses patterns above 50 000.
_MAX_HOST_PATTERN = 255


class Where:
    """Conditions that all hold."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.parameters: list[Any] = []

    def add(self, condition: str, *parameters: object) -> None:
        """Add a condition with its parameters."""
        self._conditions.append(condition)
        self.parameters.extend(parameters)

    def equal(self, column: str, value: str | int | None) -> None:
        """The column has this value; None: any."""
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            self.add("0")
        elif value is not None:
            self.add(f"{column} = ?", value)

    def contains(self, columns: Sequence[str], text: str | None) -> None:
        """One of the columns contains the text, case-insensitively; None: any.

        ASCII text is compared with ASCII letters folded, which costs little. Other text is
        compared with all of Unicode folded, by a function of sqlite_file that costs a call per row.
        instr(), not LIKE: to LIKE a text ends at its first NUL.
        """
        if text is None:
            return
        if text.isascii():
            tests, needle = [f"instr(lower({column}), ?) > 0" for column in columns], text.lower()
        else:
            tests, needle = [f"folded_contains({column}, ?)" for column in columns], text.casefold()
        self.add("(" + " OR ".join(tests) + ")", *[needle] * len(columns))

    def host(self, column: str, pattern: str | None) -> None:
        """The column is this host name, or matches this glob; ASCII case-insensitive."""
        if pattern is None:
            return
        if len(pattern) > _MAX_HOST_PATTERN:
            raise InvalidInput([("hostname", f"longer than {_MAX_HOST_PATTERN} characters")])
        if "*" not in pattern and "?" not in pattern:
            self.add(f"{column} = ? COLLATE NOCASE", pattern)
            return
        for character, escaped in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_")):
            pattern = pattern.replace(character, escaped)
        self.add(f"{column} LIKE ? ESCAPE '\\'", pattern.replace("*", "%").replace("?", "_"))

    def oid(self, column: str, prefix: str | None) -> None:
        """The column is this OID or one below it, arc by arc."""
        if prefix is None:
            return
        arcs = prefix.removeprefix(".").removesuffix("*").removesuffix(".")
        self.add(f"({column} = ? OR substr({column}, 1, ?) = ?)", arcs, len(arcs) + 1, arcs + ".")

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "1"

    def __bool__(self) -> bool:
        return bool(self._conditions)


def offset_of(window: Window) -> int:
    """How many rows come before the window's page.

    Raises:
        InvalidInput: The page or the limit is out of its bounds.
    """
    problems = []
    if not 1 <= window.limit <= MAX_PAGE_ITEMS:
        problems.append(("limit", f"must be 1 to {MAX_PAGE_ITEMS}"))
    if window.page < 1:
        problems.append(("page", "must be at least 1"))
    if problems:
        raise InvalidInput(problems)
    if window.cursor is not None:
        return 0
    return min((window.page - 1) * window.limit, MAX_INTEGER)


def encode_cursor(list_name: str, *key: str | int) -> str:
    """The cursor for what follows the row with this key."""
    return base64.urlsafe_b64encode(msgspec.json.encode([list_name, *key])).decode().rstrip("=")


def decode_cursor(cursor: str, list_name: str, *types: type) -> list[Any]:
    """The key that encode_cursor was given.

    Raises:
        InvalidInput: Not a cursor, or one of another list.
    """
    try:
        octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, *key = msgspec.json.decode(octets, type=list[str | int])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise InvalidInput([("cursor", "not a cursor that this list gave out")]) from exc
    is_ours = name == list_name and [type(part) for part in key] == list(types)
    if not is_ours or any(isinstance(part, int) and abs(part) > MAX_INTEGER for part in key):
        raise InvalidInput([("cursor", "not a cursor that this list gave out")])
    return key
