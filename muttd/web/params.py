"""Parameters in the query and in the path: declared, read once and checked whole.

    SEVERITY = integer_param("severity", "Exactly this severity.", at_most=7)

    @call("Events, newest first.", params=(SEVERITY, *WINDOW), ...)
    async def list_events(request): ... given_of(request)[SEVERITY] ...

A declared parameter whose name is in braces in the route's path is read from there. Every wrong
one is told at once: InvalidInput, a 400. An empty value is no value: a browser's form sends the
fields that nobody filled in. A parameter that nobody declared is wrong, because a typo would
otherwise widen the answer.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from muttd.errors import InvalidInput
from muttd.store.contract import MAX_PAGE_ITEMS, Window
from muttd.web.declared import Declared, Given

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)

# The widest integer that the stores keep.
MAX_ID = 2**63 - 1
# With MAX_PAGE_ITEMS to a page this is more than a table will ever hold, and far from 2**63.
MAX_PAGE = 10**9
# Longer than any host name, OID or search that is meant; short enough to be harmless.
MAX_TEXT_CHARS = 1024

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# "+" in a query string means a space; somebody pasted an offset without escaping it.
_PASTED_OFFSET = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")
_OID = re.compile(r"\.?([0-9]+(?:\.[0-9]+)*)(?:\.\*|\.)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Negotiation reads it before any handler does.
_ALWAYS_KNOWN = "api_version"


@dataclass(frozen=True, slots=True, eq=False)
class Param(Declared[T]):
    """One parameter. parse raises ValueError, which says what is wrong."""

    parse: Callable[[str], T]


def text_param(name: str, text: str) -> Param[str]:
    """Any text."""
    return Param(name, text, {"type": "string", "maxLength": MAX_TEXT_CHARS}, str)


def integer_param(name: str, text: str, *, at_least: int = 0, at_most: int = MAX_ID) -> Param[int]:
    """A whole number within bounds."""
    schema = {"type": "integer", "minimum": at_least, "maximum": at_most}
    return Param(name, text, schema, lambda value: parse_integer(value, at_least, at_most))


def id_param(name: str, text: str) -> Param[int]:
    """The number of a record of ours."""
    return integer_param(name, text, at_least=1)


def boolean_param(name: str, text: str) -> Param[bool]:
    """Either true or false."""
    return Param(name, text, {"type": "boolean"}, _parse_boolean)


def choice_param(name: str, text: str, choices: type[E]) -> Param[E]:
    """One of an enumeration's values, whatever their case."""
    # An empty value is no value, here as everywhere.
    schema = {"type": "string", "enum": [*(each.value for each in choices), ""]}
    return Param(name, text, schema, lambda value: _parse_choice(value, choices))


def oid_param(name: str, text: str) -> Param[str]:
    """An OID in numbers, without a leading dot and a trailing ".*"."""
    schema = {"type": "string", "pattern": f"^({_OID.pattern})?$", "maxLength": MAX_TEXT_CHARS}
    return Param(name, text, schema, _parse_oid)


def event_id_param(name: str, text: str) -> Param[str]:
    """An event's id."""
    schema = {"type": "string", "pattern": f"^({_UUID.pattern})?$"}
    return Param(name, text, schema, _parse_event_id)


def moment_param(name: str, text: str, *, whole_day: bool = False) -> Param[datetime]:
    """An ISO 8601 time or date; with whole_day a mere date is meant whole: it is an end."""
    schema = {"type": "string", "examples": ["2025-03-01", "2025-03-01T12:30:00Z"]}
    return Param(name, text, schema, lambda value: parse_moment(value, whole_day=whole_day))


PAGE = integer_param("page", "Which page, counted from 1.", at_least=1, at_most=MAX_PAGE)
LIMIT = integer_param("limit", "Items to a page.", at_least=1, at_most=MAX_PAGE_ITEMS)
CURSOR = text_param("cursor", "The next_cursor of the part before; it wins over page.")
WINDOW = (PAGE, LIMIT, CURSOR)

CHANGE_REASON = text_param("change_reason", "Why, for the audit of the configuration.")


def window_of(given: Given) -> Window:
    """page, limit and cursor, of a call that declares WINDOW."""
    default = Window()
    return Window(
        page=given[PAGE] or default.page,
        limit=given[LIMIT] or default.limit,
        cursor=given[CURSOR],
    )


def read_params(
    declared: Iterable[Param[Any]], query: QueryParams, path: Mapping[str, str]
) -> Given:
    """What a request gives of what is declared.

    Args:
        declared: The call's parameters.
        query: Its query.
        path: What stood in the braces of its path; all of it must be declared.

    Raises:
        InvalidInput: Every parameter that is wrong, unknown, or given twice.
    """
    problems: list[tuple[str, str]] = []
    texts: dict[str, str] = {}
    for name, value in query.multi_items():
        if name in texts or name in path:
            problems.append((name[:MAX_TEXT_CHARS], "is given twice"))
        texts[name] = value
    texts |= path
    values: dict[Declared[Any], object] = {}
    for param in declared:
        text = texts.pop(param.name, "")
        values[param] = None
        try:
            if text:
                values[param] = param.parse(_harmless(text))
            elif param.name in path:
                problems.append((param.name, "must not be empty"))
        except ValueError as exc:
            problems.append((param.name, str(exc)))
    names = [param.name for param in values] + [_ALWAYS_KNOWN]
    for name in texts.keys() - {_ALWAYS_KNOWN}:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        problems.append((name[:MAX_TEXT_CHARS], f"no such parameter{hint}"))
    if problems:
        raise InvalidInput(sorted(problems))
    return Given(values)


def parse_moment(text: str, *, whole_day: bool) -> datetime:
    """An ISO 8601 time, or a date, in UTC. A time without an offset is UTC.

    Args:
        text: What the client wrote.
        whole_day: A date means its end, the following midnight, and not its beginning.

    Raises:
        ValueError: It is none, or in no year between 1 and 9999.
    """
    try:
        if _DATE.fullmatch(text):
            midnight = datetime.combine(date.fromisoformat(text), time(), UTC)
            return midnight + timedelta(days=1) if whole_day else midnight
        moment = datetime.fromisoformat(_PASTED_OFFSET.sub("+", text) if "T" in text else text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError("must be an ISO 8601 date or time") from exc


def parse_integer(text: str, at_least: int, at_most: int) -> int:
    """A whole number within bounds.

    Raises:
        ValueError: It is none, or out of bounds.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError("must be a whole number")
    if not at_least <= int(text) <= at_most:
        raise ValueError(f"must be between {at_least} and {at_most}")
    return int(text)


def _harmless(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"is longer than {MAX_TEXT_CHARS} characters")
    if "\0" in text:
        # PostgreSQL has no text with a NUL in it, and SQLite would look no further.
        raise ValueError("holds a NUL character")
    return text


def _parse_boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _parse_choice(text: str, choices: type[E]) -> E:
    for each in choices:
        if each.value.lower() == text.lower():
            return each
    raise ValueError(f"must be one of {', '.join(choices)}")


def _parse_oid(text: str) -> str:
    match = _OID.fullmatch(text)
    if match is None:
        raise ValueError("must be an OID in numbers")
    return match[1]


def _parse_event_id(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError("must be an event_id")
    return text.lower()
