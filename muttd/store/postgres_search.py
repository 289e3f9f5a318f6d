"""Conditions of the lists in PostgreSQL."""

from __future__ import annotations

from typing import Any

from muttd.store.postgres_connection import clean_text
from muttd.store.search import MAX_INTEGER, bare_oid, glob_as_like, is_glob


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
            self.add("false")
        elif value is not None:
            self.add(f"{column} = %s", value)

    def message_contains(self, text: str | None) -> None:
        """The message contains the text, case-insensitively; None: any.

        ASCII text is compared with ASCII letters folded, other text with all of Unicode folded,
        by message_folded, which is there when the message has anything but ASCII. The server's
        own lower() would depend on the locale of the database.
        """
        if text is None:
            return
        cleaned = clean_text(text)
        if cleaned.isascii():
            self.add("strpos(lower(message), %s) > 0", cleaned.lower())
        else:
            folded = cleaned.casefold()
            self.add("strpos(coalesce(message_folded, lower(message)), %s) > 0", folded)

    def host(self, column: str, pattern: str | None) -> None:
        """The column, in lower case, is this host name, or matches this glob."""
        if pattern is None:
            return
        folded = pattern.lower()
        if is_glob(pattern):
            self.add(f"{column} LIKE %s", glob_as_like(folded))
        else:
            self.add(f"{column} = %s", folded)

    def oid(self, column: str, prefix: str | None) -> None:
        """The column is this OID or one below it, arc by arc."""
        if prefix is None:
            return
        arcs = bare_oid(prefix)
        self.add(f"({column} = %s OR starts_with({column}, %s))", arcs, arcs + ".")

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"

    def __bool__(self) -> bool:
        return bool(self._conditions)
