r"""The predecessor's tables as text: CSV, JSON, or what pg_dump writes.

    hostname,team_assignment         CSV with a header, as \copy ... csv header writes it
    [{"hostname": "r1", ...}]        JSON, as json_agg gives it; {"rules": [...]} around it, too
    COPY public.device_teams (...)   plain pg_dump; every table that is wanted, from one file

Values are as text gave them, an absent one is None: rows_map.py knows what they should be.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muttd.errors import InvalidInput

RULES, HOSTS, TEAMS = "alert_rules", "development_hosts", "device_teams"
WANTED = (RULES, HOSTS, TEAMS)

Row = dict[str, object]

_COPY = re.compile(r'COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;')
_INSERT = re.compile(r'INSERT INTO (?:"?\w+"?\.)?"?(\w+)"? ')
_CUSTOM_FORMAT = "PGDMP"
# The COPY text format of PostgreSQL; an octal or hexadecimal escape never comes out of pg_dump.
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(.)", flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows of each table that was there; None where none was looked at."""

    rules: list[Row] | None = None
    hosts: list[Row] | None = None
    teams: list[Row] | None = None


def rows_from_text(text: str) -> list[Row]:
    """Rows of one table, from CSV or JSON.

    Raises:
        InvalidInput: It is neither.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(text)
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        rows: list[Row] = [dict(row) for row in reader]
    except csv.Error as exc:
        raise InvalidInput([(f"line {reader.line_num}", str(exc))]) from exc
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InvalidInput([(f"row {number}", "has more or fewer values than the header")])
    # CSV has one way to write NULL and the empty text.
    return [{name: value or None for name, value in row.items()} for row in rows]


def tables_from_dump(text: str) -> Tables:
    """Every table that is wanted, from a plain dump.

    Raises:
        InvalidInput: It is no plain dump, or has none of the tables.
    """
    if text.startswith(_CUSTOM_FORMAT):
        raise InvalidInput(
            [("dump", "is in the custom format: pg_restore -f dump.sql makes it text")]
        )
    found = dict(_copies(text.splitlines()))
    if not found:
        inserts = any(_INSERT.match(line) for line in text.splitlines())
        what = (
            "has INSERTs: make it without --inserts"
            if inserts
            else f"has none of {', '.join(WANTED)}"
        )
        raise InvalidInput([("dump", what)])
    return Tables(rules=found.get(RULES), hosts=found.get(HOSTS), teams=found.get(TEAMS))


def _from_json(text: str) -> list[Row]:
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput([("JSON", str(exc))]) from exc
    if isinstance(document, dict) and len(document) == 1:
        [document] = document.values()
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise InvalidInput([("JSON", "must be a list of objects")])
    return document


def _copies(lines: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    at = 0
    while at < len(lines):
        begun = _COPY.match(lines[at])
        at += 1
        if begun is None:
            continue
        columns = [column.strip().strip('"') for column in begun[2].split(",")]
        rows: list[Row] = []
        while at < len(lines) and lines[at] != "\\.":
            rows.append(_copied(lines[at], columns, begun[1]))
            at += 1
        if at == len(lines):
            raise InvalidInput([(begun[1], "the dump ends in the middle of it")])
        if begun[1] in WANTED:
            yield begun[1], rows


def _copied(line: str, columns: Sequence[str], table: str) -> Row:
    values = line.split("\t")
    if len(values) != len(columns):
        raise InvalidInput([(table, f"a row has {len(values)} values, not {len(columns)}")])
    return {name: _value(value) for name, value in zip(columns, values, strict=True)}


def _value(text: str) -> str | None:
    if text == "\\N":
        return None
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
