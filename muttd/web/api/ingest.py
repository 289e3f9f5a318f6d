"""POST /api/v2/ingest, /ingest: events over HTTP.

    body --inflate--> JSON --parse--> events --put_and_wait--> 200, when the queue has them

Bad items of a batch are named by their index, and the good ones are kept. What cannot be queued is
answered 503, and the client still has it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec
import trio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from muttd.errors import InvalidInput, QueueFull, StoreError, StoreUnavailable
from muttd.event import utc_now
from muttd.event_ids import ids_from
from muttd.queue.contract import Queue, Stream
from muttd.web.declared import Body, ok
from muttd.web.ingest_body import (
    BODY_SCHEMA,
    LINES_SCHEMA,
    Parsed,
    Rejected,
    TooManyItems,
    events_from_items,
    split_items,
)
from muttd.web.ingest_values import Origin
from muttd.web.resource import MAY_INGEST, call, resource
from muttd.web.responses import RETRY_AFTER_S, ErrorBody, ErrorDetail, JsonResponse, error_response
from muttd.web.services import Services

_JSON = frozenset({"application/json", "text/json", ""})
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii"})

# Items parsed before other tasks get their turn: some two milliseconds.
SLICE_ITEMS = 128

# Rejected items that one answer describes; the rest of them are in rejected_count.
MAX_REPORTED = 1000

# One file may be several gzip members (RFC 1952, 2.2). A client needs a few; ten thousand empty
# ones are an attack on the processor.
MAX_GZIP_MEMBERS = 100

# A depth this old is near enough; asking the queue costs a thread hop, so not for every request.
_DEPTH_AGE_S = 0.25


class RejectedItem(msgspec.Struct, frozen=True):
    """An item of the batch that is no event."""

    index: int
    errors: list[ErrorDetail]


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The queue has the events. rejected and rejected_count are there when items were bad."""

    status: str
    correlation_id: str
    accepted: int
    queue_depth: int
    rejected: list[RejectedItem] = []
    rejected_count: int = 0


class QueueErrorBody(ErrorBody, frozen=True):
    """The queue did not take the events. queue_depth is null when it does not answer."""

    queue_depth: int | None
    queue_limit: int


class QueueDepth:
    """How many events the ingest stream holds, asked a few times a second at most."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._asked_at = float("-inf")
        self._depth = 0

    async def after(self, accepted: int) -> int:
        """The depth now that so many more are in it."""
        now = trio.current_time()
        self._depth += accepted
        if now - self._asked_at >= _DEPTH_AGE_S:
            # Before the answer: the requests that come meanwhile need not ask too.
            self._asked_at = now
            try:
                self._depth = (await self._queue.depth(Stream.INGEST)).items
            except StoreUnavailable:
                # The events are in; that their number is not known is no reason to say otherwise.
                self._asked_at = float("-inf")
        return self._depth


@call(
    "Queue events: one object, an array of them, or one a line.",
    allowed=MAY_INGEST,
    body=Body({"application/json": BODY_SCHEMA, "application/x-ndjson": LINES_SCHEMA}),
    answer=ok(Receipt),
    errors=(503,),
)
async def ingest(request: Request) -> Response:
    """Take events; see the module."""
    services: Services = request.app.state.services
    if not services.is_accepting():
        return await _not_now(request, "This daemon is stopping; send the events again.", None)
    key, source_ip = request.state.principal.name, _source_of(request)
    wait_s = services.ingest_limits.retry_after_s(key, source_ip)
    if wait_s:
        return _too_fast(request, wait_s)
    is_lines = _is_lines(request.headers.get("content-type", ""))
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        # RFC 9110, 12.5.3: a 415 for a coding names those that would do.
        raise HTTPException(
            415, "The body may be plain or gzip.", headers={"Accept-Encoding": "gzip"}
        )
    try:
        body = await read_body(
            request.stream(), is_gzip="gzip" in encoding, max_octets=services.max_body_octets
        )
    except ClientDisconnect:
        # It left, or the transport has refused its body: nobody reads what is answered here.
        return Response(status_code=400)
    parsed = await _parse(request, body, is_lines=is_lines)
    item_count = len(parsed.events) + len(parsed.rejected)
    is_too_much = len(parsed.events) > services.queue_limit
    services.count_received(item_count, item_count if is_too_much else len(parsed.rejected))
    if not parsed.events:
        return _nothing_accepted(request, parsed.rejected)
    if is_too_much:
        raise HTTPException(
            413, f"The queue holds at most {services.queue_limit} events; send fewer at a time."
        )
    return await hand_over(request, key, source_ip, parsed)


async def hand_over(request: Request, key: str, source_ip: str, parsed: Parsed) -> Response:
    """Hand events to the queue; the answer, when it has them or has not taken them in time."""
    services: Services = request.app.state.services
    # Before the queue has them, so that its other requests meanwhile are counted with them.
    services.ingest_limits.add(key, source_ip, len(parsed.events))
    try:
        await services.sink.put_and_wait("http", parsed.events, wait_s=services.ingest_wait_s)
    except StoreUnavailable as exc:
        services.ingest_limits.add(key, source_ip, -len(parsed.events))
        full = "The queue is full; send the events again later."
        away = "The queue does not answer; send the events again later."
        return await _not_now(request, full if isinstance(exc, QueueFull) else away, exc)
    return await _queued(request, parsed)


def ingest_routes() -> list[Route]:
    """The routes of this module."""
    return [resource(path, post=ingest) for path in ("/api/v2/ingest", "/ingest")]


def _source_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_fast(request: Request, wait_s: float) -> Response:
    # RFC 9110, 10.2.3: whole seconds.
    headers = {"Retry-After": str(math.ceil(wait_s))}
    message = "This key or address has posted as much as it may for now; send the events again."
    return error_response(request, 429, message, code="rate_limited", headers=headers)


def _is_lines(content_type: str) -> bool:
    media_type, _, parameters = content_type.lower().partition(";")
    media_type = media_type.strip()
    _, _, charset = parameters.partition("charset=")
    if charset.split(";")[0].strip(' "') not in _CHARSETS:
        raise HTTPException(415, "JSON is UTF-8 (RFC 8259, 8.1).")
    if media_type not in _JSON | _LINES:
        raise HTTPException(
            415, "Send application/json, or application/x-ndjson with one object a line."
        )
    return media_type in _LINES


async def read_body(
    chunks: AsyncGenerator[bytes, None], *, is_gzip: bool, max_octets: int
) -> bytes:
    """The whole body, inflated as it comes in and never longer than max_octets.

    Raises:
        HTTPException: 413, it is longer; 400, it is no gzip.
    """
    inflater = _Gunzip(max_octets) if is_gzip else None
    body = bytearray()
    async with aclosing(chunks):
        async for chunk in chunks:
            body += chunk if inflater is None else inflater.feed(chunk, max_octets - len(body))
            if len(body) > max_octets:
                raise HTTPException(413, f"The body is longer than {max_octets} octets.")
    if inflater is not None and not inflater.is_whole:
        raise HTTPException(400, "The body is not whole gzip.")
    return bytes(body)


class _Gunzip:
    """Inflates as much as was asked for, and one octet more, which tells that there is more."""

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self._member_count = 0
        # Between members, or before the first: None.
        self._member: zlib._Decompress | None = None

    @property
    def is_whole(self) -> bool:
        """Whether what was fed ends with a member."""
        return self._member is None and self._member_count > 0

    def feed(self, octets: bytes, room_octets: int) -> bytes:
        out = bytearray()
        while octets and len(out) <= room_octets:
            if self._member is None:
                self._member_count += 1
                if self._member_count > MAX_GZIP_MEMBERS:
                    raise HTTPException(400, f"The body has over {MAX_GZIP_MEMBERS} gzip members.")
                # 16: a gzip header and trailer around it (zlib.h, inflateInit2).
                self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                out += self._member.decompress(octets, room_octets + 1 - len(out))
            except zlib.error as exc:
                raise HTTPException(400, "The body is not gzip.") from exc
            octets = self._member.unconsumed_tail or self._member.unused_data
            if self._member.eof:
                octets = self._member.unused_data
                self._member = None
        return bytes(out)


def origin_of(request: Request, item_count: int) -> Origin:
    """What the events of a request know that its body does not say."""
    services: Services = request.app.state.services
    ids = services.event_ids
    next_id: Callable[[], str] = ids.next
    if item_count > 1:
        # Together: one by one they cost as much as reading their times. Those of items that are no
        # events are nobody's.
        next_id = iter(ids_from(ids.first_of(item_count), item_count)).__next__
    return Origin(
        source_ip=_source_of(request),
        received_at=utc_now(),
        correlation_id=request.state.correlation_id,
        next_id=next_id,
    )


async def _parse(request: Request, body: bytes, *, is_lines: bool) -> Parsed:
    services: Services = request.app.state.services
    try:
        items = split_items(body, is_lines=is_lines)
    except TooManyItems as exc:
        raise HTTPException(413, f"The {exc}; send it in parts.") from exc
    except InvalidInput:
        services.count_received(1, 1)
        raise
    parsed, origin = Parsed(), origin_of(request, len(items))
    for first in range(0, len(items), SLICE_ITEMS):
        part = events_from_items(items[first : first + SLICE_ITEMS], first, origin)
        parsed.events += part.events
        parsed.rejected += part.rejected
        await trio.lowlevel.checkpoint()
    return parsed


def _nothing_accepted(request: Request, rejected: list[Rejected]) -> Response:
    is_batch = len(rejected) > 1
    details = [
        (f"[{item.index}].{field}" if is_batch else field, what)
        for item in rejected[:MAX_REPORTED]
        for field, what in item.problems
    ]
    message = "No item of the batch is an event." if is_batch else "This is not an event."
    return error_response(request, 400, message, code="invalid_input", details=details)


async def _queued(request: Request, parsed: Parsed) -> Response:
    reported = [
        RejectedItem(item.index, [ErrorDetail(field, what) for field, what in item.problems])
        for item in parsed.rejected[:MAX_REPORTED]
    ]
    receipt = Receipt(
        status="queued",
        correlation_id=request.state.correlation_id,
        accepted=len(parsed.events),
        queue_depth=await _depth_of(request).after(len(parsed.events)),
        rejected=reported,
        rejected_count=len(parsed.rejected),
    )
    return JsonResponse(receipt)


async def _not_now(request: Request, message: str, exc: StoreError | None) -> Response:
    services: Services = request.app.state.services
    depth = exc.depth if isinstance(exc, QueueFull) else None
    if exc is None:
        depth = await _depth_of(request).after(0)
    body = QueueErrorBody(
        error="queue_full" if isinstance(exc, QueueFull) else "unavailable",
        message=message,
        correlation_id=request.state.correlation_id,
        details=[],
        queue_depth=depth,
        queue_limit=services.queue_limit,
    )
    return JsonResponse(body, status_code=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def _depth_of(request: Request) -> QueueDepth:
    """One for the whole app, made when it is first needed."""
    state = request.app.state
    if not hasattr(state, "queue_depth"):
        state.queue_depth = QueueDepth(state.services.queue)
    depth: QueueDepth = state.queue_depth
    return depth
