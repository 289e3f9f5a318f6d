"""GET /api/v2/live: the websocket behind the Live page and `muttd tail`.

    hello, then events, decisions, stats    <-- the feed, frames shared by all viewers (live_feed)
    filter, pause, resume                   --> the feed; a filter is answered with "filtered"

Handshakes and control frames are trio-websocket's. Frames of the feed go straight to the stream,
whose send_all() takes whole calls from several tasks, each within its deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import trio
from prometheus_client import Counter
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import ProtocolError

import muttd
from muttd.errors import InvalidInput, StoreUnavailable
from muttd.event import iso_utc, utc_now
from muttd.web.auth import is_same_origin
from muttd.web.guesses import TooManyGuesses
from muttd.web.live_feed import LiveFeed, LiveMetrics, Viewer, text_frame
from muttd.web.live_filter import parse_filter
from muttd.web.resource import MAY_READ
from muttd.web.services import Services
from muttd.web.sessions import Sessions, authenticate

LIVE_PATH = "/api/v2/live"

# Each costs buffers of some megabytes at worst.
MAX_VIEWERS = 200
# A filter has some hundred octets.
MAX_CLIENT_MESSAGE_OCTETS = 65_536
# A person changes a filter a few times a second at most; a client in a loop is read this slowly.
CLIENT_MESSAGE_S = 0.05
# The handshake is in our hands already; only its answer has to go out.
HANDSHAKE_S = 10.0
# RFC 6455, 5.5.2: FIN 1 | RSV 000 | opcode 1001 || mask 0 | length 0
PING_FRAME = b"\x89\x00"
PING_S = 30.0
# How long somebody looks on who may no more, once this daemon knows: with the time that takes, a
# second.
RECHECK_S = 0.25


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why somebody may not look on."""

    status: int
    reason: str
    message: str


_STRANGER = _Refusal(401, "unauthenticated", "Send an API key in X-API-KEY, or sign in.")
_GUESSING = _Refusal(429, "too_many_requests", "Too many wrong API keys from this address.")
_UNKNOWN = _Refusal(503, "unavailable", "Whoever knows the API keys does not answer.")
_FORBIDDEN = _Refusal(403, "forbidden", "This role may not look on.")
_FOREIGN = _Refusal(403, "origin", "A page of another site may not look on.")
_CROWDED = _Refusal(503, "too_many_viewers", f"There are {MAX_VIEWERS} viewers already.")
_REFUSALS = (_STRANGER, _GUESSING, _UNKNOWN, _FORBIDDEN, _FOREIGN, _CROWDED)


class LiveHub:
    """The live websocket: serve_hub() in one task, serve_viewer() for each connection.

    Args:
        services: Fan-out, keys, registry.
        sessions: The signed-in browsers.
    """

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._metrics = LiveMetrics.register(services.registry)
        self._feed = LiveFeed(services.fanout, self._metrics)
        self._cut_off = Counter(
            "muttd_live_cut_off_total",
            "Live viewers cut off because they did not read.",
            registry=services.registry,
        )
        self._refused = Counter(
            "muttd_live_refused_total",
            "Live viewers refused, by reason.",
            ["reason"],
            registry=services.registry,
        )
        for refusal in _REFUSALS:
            self._refused.labels(refusal.reason)

    async def serve_hub(self) -> None:
        """Feed the viewers until cancelled."""
        await self._feed.serve()

    async def serve_viewer(self, stream: trio.abc.Stream, scope: Mapping[str, Any]) -> None:
        """Serve one websocket until it closes.

        Args:
            stream: Gives the handshake again, then what follows it. Its send_all() may be called
                by several tasks; it raises BrokenResourceError from TooSlowError when the peer
                does not read.
            scope: The handshake as an ASGI scope. Any: so ASGI has it.
        """
        try:
            async with trio.open_nursery() as nursery:
                await self._serve(nursery, stream, scope)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError) as group:
            causes = [exc.__cause__ for exc in _leaves(group)]
            if any(isinstance(cause, trio.TooSlowError) for cause in causes):
                self._cut_off.inc()
        except* (ConnectionClosed, ProtocolError, UnicodeDecodeError):
            # It left, or spoke no websocket (wsproto decodes some fields as ASCII, unasked); that
            # ends this viewer alone.
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, scope: Mapping[str, Any]
    ) -> None:
        with trio.move_on_after(HANDSHAKE_S) as handshake:
            request = await wrap_server_stream(
                nursery, stream, max_message_size=MAX_CLIENT_MESSAGE_OCTETS
            )
            refusal = await self._refusal(scope)
            if refusal is not None:
                self._refused.labels(refusal.reason).inc()
                body = msgspec.json.encode({"error": refusal.reason, "message": refusal.message})
                headers = [(b"Content-Type", b"application/json"), (b"Connection", b"close")]
                await request.reject(refusal.status, extra_headers=headers, body=body)
                return
            connection = await request.accept()
        if handshake.cancelled_caught:
            return
        viewer = Viewer(self._metrics.missed)
        hello = {"type": "hello", "version": muttd.__version__, "now": iso_utc(utc_now())}
        viewer.offer(text_frame(hello))
        nursery.start_soon(_write, stream, viewer)
        nursery.start_soon(self._watch, scope, nursery.cancel_scope)
        self._feed.join(viewer)
        try:
            await self._read(connection, viewer)
        finally:
            self._feed.leave(viewer)

    async def _refusal(self, scope: Mapping[str, Any]) -> _Refusal | None:
        headers = scope["headers"]
        if not is_same_origin(headers):
            return _FOREIGN
        peer = scope["client"][0] if scope["client"] else None
        try:
            principal = await authenticate(headers, self._services.keys, self._sessions, peer=peer)
        except TooManyGuesses:
            return _GUESSING
        except StoreUnavailable:
            return _UNKNOWN
        if principal is None:
            return _STRANGER
        if principal.role not in MAY_READ:
            return _FORBIDDEN
        return _CROWDED if self._feed.viewer_count >= MAX_VIEWERS else None

    async def _watch(self, scope: Mapping[str, Any], viewing: trio.CancelScope) -> None:
        """Look on no longer than one may: until the key is revoked, or the session ends."""
        while True:
            await trio.sleep(RECHECK_S)
            try:
                principal = await authenticate(
                    scope["headers"], self._services.keys, self._sessions, is_use=False
                )
            except StoreUnavailable:
                continue
            if principal is None or principal.role not in MAY_READ:
                viewing.cancel()

    async def _read(self, connection: WebSocketConnection, viewer: Viewer) -> None:
        """Do what the viewer asks for, until it leaves."""
        while True:
            message = await connection.get_message()
            try:
                self._obey(viewer, message)
            except InvalidInput as exc:
                viewer.offer(text_frame({"type": "error", "message": str(exc)}))
            await trio.sleep(CLIENT_MESSAGE_S)

    def _obey(self, viewer: Viewer, message: str | bytes) -> None:
        try:
            document = msgspec.json.decode(message)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise InvalidInput([("message", "is not valid JSON")]) from exc
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "filter":
            self._feed.join(viewer, parse_filter(document.get("filter")))
            # What still waits is the old filter's. What follows this frame is the new one's.
            viewer.forget()
            viewer.offer(text_frame({"type": "filtered"}))
        elif kind == "pause":
            viewer.pause()
        elif kind == "resume":
            viewer.resume()
        else:
            raise InvalidInput([("type", "must be filter, pause or resume")])


async def _write(stream: trio.abc.Stream, viewer: Viewer) -> None:
    while True:
        # To a paused viewer, who gets nothing else: TCP must have something to miss an answer to.
        frames = PING_FRAME
        with trio.move_on_after(PING_S):
            frames = await viewer.wait_frames()
        await stream.send_all(frames)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for exc in group.exceptions:
        found += _leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc]
    return found
