"""What comes in: query parameters, path parameters and JSON bodies, read once and checked whole.

    params = Params(request.query_params)
    query = EventQuery(severity=params.integer("severity", at_least=0, at_most=7), ...)
    params.check()          every wrong parameter at once: InvalidInput, a 400

An empty value is no value: a browser's form sends the fields that nobody filled in.
A parameter that nobody asked for is wrong, because a typo would otherwise widen the answer.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request

from muttd.errors import InvalidInput
from muttd.store.contract import MAX_PAGE_ITEMS, Change, Window

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)

# The widest integer that the stores keep.
MAX_ID = 2**63 - 1
# With MAX_PAGE_ITEMS to a page this is more than a table will ever hold, and far from 2**63.
MAX_PAGE = 10**9
# Longer than any host name, OID or search that is meant; short enough to be harmless.
MAX_TEXT_CHARS = 1024
# A rule has some hundred octets. Ingest has a limit of its own.
MAX_OBJECT_OCTETS = 1024 * 1024

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# "+" in a query string means a space; somebody pasted an offset without escaping it.
_PASTED_OFFSET = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")
_OID = re.compile(r"\.?([0-9]+(?:\.[0-9]+)*)(?:\.\*|\.)?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# Negotiation reads it before any handler does.
_ALWAYS_KNOWN = "api_version"


class Params:
    """Query parameters of one request; gathers what is wrong with them."""

    def __init__(self, query: QueryParams) -> None:
        self._values: dict[str, str] = {}
        self._known = {_ALWAYS_KNOWN}
        self._problems: list[tuple[str, str]] = []
        for name, value in query.multi_items():
            if name in self._values:
                self._problems.append((name, "is given twice"))
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """Any text."""
        return self._read(name, lambda text: text)

    def integer(self, name: str, *, at_least: int = 0, at_most: int = MAX_ID) -> int | None:
        """A whole number within bounds."""
        return self._read(name, lambda text: parse_integer(text, at_least, at_most))

    def boolean(self, name: str) -> bool | None:
        """Either true or false."""
        return self._read(name, _parse_boolean)

    def choice(self, name: str, choices: type[E]) -> E | None:
        """One of an enumeration's values, whatever their case."""
        return self._read(name, lambda text: _parse_choice(text, choices))

    def oid(self, name: str) -> str | None:
        """An OID in numbers, without a leading dot and a trailing ".*"."""
        return self._read(name, _parse_oid)

    def event_id(self, name: str) -> str | None:
        """An event's id."""
        return self._read(name, _parse_event_id)

    def period(self, start: str, end: str) -> tuple[datetime | None, datetime | None]:
        """Two moments, the second of which is later. A mere date as the end is meant whole."""
        starts_at = self._read(start, lambda text: parse_moment(text, whole_day=False))
        ends_at = self._read(end, lambda text: parse_moment(text, whole_day=True))
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            self._problems.append((end, f"must be later than {start}"))
        return starts_at, ends_at

    def window(self) -> Window:
        """page, limit and cursor."""
        page = self.integer("page", at_least=1, at_most=MAX_PAGE)
        limit = self.integer("limit", at_least=1, at_most=MAX_PAGE_ITEMS)
        cursor = self.text("cursor")
        default = Window()
        return Window(page=page or default.page, limit=limit or default.limit, cursor=cursor)

    def check(self) -> None:
        """Say what is wrong, once every parameter was asked for.

        Raises:
            InvalidInput: Every parameter that is wrong or unknown.
        """
        for name in self._values.keys() - self._known:
            near = difflib.get_close_matches(name, self._known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self._problems.append((name[:MAX_TEXT_CHARS], f"no such parameter{hint}"))
        if self._problems:
            raise InvalidInput(sorted(self._problems))

    def _read(self, name: str, parse: Callable[[str], T]) -> T | None:
        self._known.add(name)
        value = self._values.get(name)
        if not value:
            return None
        try:
            return parse(_harmless(value))
        except ValueError as exc:
            self._problems.append((name, str(exc)))
            return None


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


def path_id(request: Request, name: str) -> int:
    """A record's number in the path.

    Raises:
        InvalidInput: It is none, or beyond what the stores can hold.
    """
    try:
        return parse_integer(request.path_params[name], 1, MAX_ID)
    except ValueError as exc:
        raise InvalidInput([(name, str(exc))]) from exc


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the request's body.

    Raises:
        InvalidInput: The body is no JSON object.
        HTTPException: 415, not declared as JSON; 413, longer than MAX_OBJECT_OCTETS.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_OBJECT_OCTETS:
                raise HTTPException(413, f"The body is longer than {MAX_OBJECT_OCTETS} octets.")
    try:
        values = msgspec.json.decode(bytes(body))
    except RecursionError as exc:
        raise InvalidInput([("body", "is nested too deeply")]) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidInput([("body", f"is not JSON: {exc}")]) from exc
    if not isinstance(values, dict):
        raise InvalidInput([("body", "must be a JSON object")])
    return values


def reason_problems(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a body's change_reason."""
    reason = values.get("change_reason")
    if reason is not None and not isinstance(reason, str):
        return [("change_reason", "must be text or null")]
    if reason is not None and (len(reason) > MAX_TEXT_CHARS or "\0" in reason):
        return [("change_reason", f"must be at most {MAX_TEXT_CHARS} characters without NUL")]
    return []


def change_of(request: Request, reason: str | None) -> Change:
    """Who changes what this request changes."""
    return Change(
        actor=request.state.principal.name,
        reason=reason or None,
        correlation_id=request.state.correlation_id,
    )


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
