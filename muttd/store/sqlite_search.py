"""Conditions of the embedded store's lists, as SQLite says them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        if is_glob(pattern):
            self.add(f"{column} LIKE ? ESCAPE '\\'", glob_as_like(pattern))
        else:
            self.add(f"{column} = ? COLLATE NOCASE", pattern)

    def oid(self, column: str, prefix: str | None) -> None:
        """The column is this OID or one below it, arc by arc."""
        if prefix is None:
            return
        arcs = bare_oid(prefix)
        self.add(f"({column} = ? OR substr({column}, 1, ?) = ?)", arcs, len(arcs) + 1, arcs + ".")

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "1"

    def __bool__(self) -> bool:
        return bool(self._conditions)
