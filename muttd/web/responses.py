"""What leaves the web side: JSON, one shape for every list and one for every error.

    list    {<name>: [...], "pagination": {"page", "limit", "total", "pages"}, "next_cursor"}
    error   {"error": code, "message": text, "correlation_id": id,
             "details": [{"field", "message"}]}

No exception's text goes out unless it was written for the client (InvalidInput).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from muttd.decision import Decided, Decision
from muttd.event import event_as_json, iso_utc
from muttd.store.contract import Page, Window

T = TypeVar("T")

# How long a client should wait when a neighbour of ours is away: one round of our own retries.
RETRY_AFTER_S = 5

# The code of an error whose class says no more than its status.
STATUS_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}


class Pagination(msgspec.Struct, frozen=True):
    """Which page of a list this is; pages is 0 for an empty list."""

    page: int
    limit: int
    total: int
    pages: int


class ErrorDetail(msgspec.Struct, frozen=True):
    """One wrong field or parameter."""

    field: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Every error of the API."""

    error: str
    message: str
    correlation_id: str
    details: list[ErrorDetail]


class JsonResponse(Response):
    """JSON by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The body's octets."""
        return msgspec.json.encode(content)


def list_response(name: str, items: Sequence[object], page: Page[T], window: Window) -> Response:
    """One part of a list.

    Args:
        name: The key of the items.
        items: page.items as JSON.
        page: What the store answered.
        window: What the client asked for.
    """
    pages = -(-page.total // window.limit)
    return JsonResponse(
        {
            name: items,
            "pagination": Pagination(window.page, window.limit, page.total, pages),
            "next_cursor": page.next_cursor,
        }
    )


def created(content: object, *, location: str) -> Response:
    """201, and where the new record is."""
    return JsonResponse(content, status_code=201, headers={"Location": location})


def deleted() -> Response:
    """204."""
    return Response(status_code=204)


def error_response(
    request: Request,
    status: int,
    message: str,
    *,
    code: str | None = None,
    details: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in the one shape.

    Args:
        request: Whose correlation id is shown.
        status: The HTTP status.
        message: A whole sentence for a human.
        code: One fixed word; without it the status's own.
        details: (field, what is wrong) of every wrong field.
        headers: Further headers.
    """
    body = ErrorBody(
        error=code or STATUS_CODES.get(status, "error"),
        message=message,
        correlation_id=request.state.correlation_id,
        details=[ErrorDetail(field, what) for field, what in details],
    )
    return JsonResponse(body, status_code=status, headers=headers)


def with_iso_times(content: object) -> Any:  # noqa: ANN401 - JSON
    """A Struct as JSON values, every time of it as all times of the API are written."""
    return _iso(msgspec.to_builtins(content, builtin_types=(datetime,)))


def _iso(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, dict):
        return {name: _iso(each) for name, each in value.items()}
    return [_iso(each) for each in value] if isinstance(value, list) else value


def decision_as_json(decision: Decision) -> dict[str, Any]:
    """The keys that a decision adds to its event."""
    return {
        "matched": decision.matched,
        "rule_id": decision.rule_id,
        "rule_name": decision.rule_name,
        "rule_revision": decision.rule_revision,
        "is_clear": decision.is_clear,
        "held_by": decision.held_by,
        "handling": decision.handling,
        "environment": decision.environment,
        "team": decision.team,
    }


def decided_as_json(decided: Decided) -> dict[str, Any]:
    """An event with its decision, as the API and the websocket show it everywhere."""
    return event_as_json(decided.event) | decision_as_json(decided.decision)
