"""POST ingest as nearly every sender does it, ahead of the router.

    a known key, a plain body, some good events --> queued, and answered as api/ingest.py does
    anything else ----------------------------> Starlette's router, with nothing counted yet

Here nothing is refused and no mistake is told. What would need that is left as it came to the one
place that does, so the two ways cannot differ in what they say.
"""

from __future__ import annotations

from collections import deque

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from muttd.errors import InvalidInput
from muttd.web.api.ingest import SLICE_ITEMS, hand_over, origin_of
from muttd.web.auth import KEY_HEADER, Principal
from muttd.web.ingest_body import Parsed, events_from_items, split_items
from muttd.web.resource import MAY_INGEST
from muttd.web.services import Services

# A longer body is not read here: whoever sends it in parts waits for those more than for us.
_MAX_OCTETS = 65_536
_MAX_PARTS = 8

# Whether a body of that type is one event a line.
_IS_LINES = {b"application/json": False, b"application/x-ndjson": True}
_KEY = KEY_HEADER.lower().encode()
# What may be said twice, or asks for something that is not done here.
_READ = frozenset((_KEY, b"content-type", b"content-encoding"))


class QuickIngest:
    """The shortcut of one route.

    Args:
        route: Whose requests these are, for the metrics.
    """

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer and return None, or return what the router has to read instead of receive."""
        services: Services = scope["app"].state.services
        read = _read_headers(scope)
        if read is None or scope["query_string"] or not services.is_accepting():
            return receive
        api_key, is_lines = read
        source_ip = scope["client"][0] if scope["client"] else ""
        principal = _who_may_post(services, api_key, source_ip)
        if principal is None:
            return receive
        messages = await _body_messages(receive, services.max_body_octets)
        body = b"".join([message.get("body", b"") for message in messages])
        if messages[-1].get("more_body", True) or len(body) > services.max_body_octets:
            return _again(messages, receive)
        request = Request(scope)
        parsed = _parsed(request, body, is_lines=is_lines)
        if parsed is None:
            return _again(messages, receive)
        scope["route"] = self._route
        services.count_received(len(parsed.events), 0)
        response = await hand_over(request, principal.name, source_ip, parsed)
        await response(scope, receive, send)
        return None


def _who_may_post(services: Services, api_key: bytes, source_ip: str) -> Principal | None:
    principal = services.keys.known(api_key.decode("utf-8", "replace"), peer=source_ip)
    if principal is None or principal.role not in MAY_INGEST:
        return None
    return principal if services.ingest_limits.may_post(principal.name, source_ip) else None


def _parsed(request: Request, body: bytes, *, is_lines: bool) -> Parsed | None:
    """A few events, when all of them are good and the queue can take so many."""
    services: Services = request.app.state.services
    try:
        items = split_items(body, is_lines=is_lines)
    except InvalidInput:
        return None
    if len(items) > min(SLICE_ITEMS, services.queue_limit):
        return None
    parsed = events_from_items(items, 0, origin_of(request, len(items)))
    return None if parsed.rejected else parsed


def _read_headers(scope: Scope) -> tuple[bytes, bool] | None:
    """The API key and whether the body is lines; None when more is said than that."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            if name in found:
                return None
            found[name] = value
    is_lines = _IS_LINES.get(found.get(b"content-type", b""))
    if is_lines is None or _KEY not in found or b"content-encoding" in found:
        return None
    return found[_KEY], is_lines


async def _body_messages(receive: Receive, max_octets: int) -> list[Message]:
    """What the client sends, to its end, or until it is more than is read here."""
    messages: list[Message] = []
    octets = 0
    while octets <= min(max_octets, _MAX_OCTETS) and len(messages) < _MAX_PARTS:
        message = await receive()
        messages.append(message)
        octets += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """A receive that gives some messages again before it goes on."""
    left = deque(messages)

    async def receive_again() -> Message:
        return left.popleft() if left else await receive()

    return receive_again
