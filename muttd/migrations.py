"""Numbered SQL files, and which of them a database still lacks. For every SQL backend.

sql/<backend>/0001_name.sql, 0002_name.sql, ...      forward only; none is ever changed
schema_migrations                                    version and name of those applied
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from muttd.errors import StoreRefused

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema.

    Attributes:
        version: 1 for the first.
        name: What it is about, from its file's name.
        script: Its statements.
    """

    version: int
    name: str
    script: str

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


def find_sql_dir() -> Path:
    """Where the migrations are: beside the package in a checkout, else where they are installed.

    Raises:
        StoreRefused: They are at neither place.
    """
    places = (Path(__file__).parent.parent / "sql", Path(sys.prefix) / "share" / "muttd" / "sql")
    for place in places:
        if place.is_dir():
            return place
    raise StoreRefused(f"no migrations at {places[0]} nor at {places[1]}; install muttd again")


def read_migrations(directory: Path) -> list[Migration]:
    """Every migration in a directory, in order.

    Raises:
        StoreRefused: There are none, or they are not numbered 1, 2, 3, ...
    """
    found = []
    for file in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise StoreRefused(f"{file} is not named like a migration (0001_name.sql)")
        found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    if [each.version for each in found] != list(range(1, len(found) + 1)) or not found:
        raise StoreRefused(f"the migrations in {directory} are not numbered 1, 2, 3, ...")
    return found


def pending_migrations(
    where: str, applied: Mapping[int, str], known: Sequence[Migration]
) -> Sequence[Migration]:
    """What is still to be applied.

    Args:
        where: The database, for the message.
        applied: Version -> name of what was applied.
        known: What read_migrations gave.

    Raises:
        StoreRefused: The database is newer than this program, or is something else.
    """
    if len(applied) > len(known):
        raise StoreRefused(
            f"{where} has schema {max(applied)}, this program knows up to {len(known)}:"
            " it was written by a newer muttd"
        )
    for migration in known[: len(applied)]:
        if applied.get(migration.version) != migration.name:
            raise StoreRefused(
                f"{where}: migration {migration.version} is {applied.get(migration.version)!r}"
                f" there and {migration.name!r} here: it is another kind of database"
            )
    return known[len(applied) :]
