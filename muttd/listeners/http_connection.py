"""One HTTP/1.1 connection: octets to ASGI and back.

    stream --receive_some--> h11 --Request, Data---> Exchange --scope, receive()--> app
    .          ----- a plain request, whole -----> Exchange (http_plain.py: h11 is not asked)
    stream <---send_all----- h11 <--Response, Data-- Exchange <-------- send() ---- app

    idle --first octet--> head --whole--> the app reads the body --> and answers --> idle | closed

h11 knows the grammar and the app knows the answer. This file knows time and amounts: every read
and every send has a deadline, every head and body a largest size, and one request at a time is
taken from a peer.
"""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import unquote_to_bytes

import h11
import trio

from muttd.listeners.direct_socket import DirectSocket
from muttd.listeners.http_answer import RefusedRequest, error_answer, log_failure
from muttd.listeners.http_exchange import Exchange
from muttd.listeners.http_options import (
    RECEIVE_OCTETS,
    SEND_PIECE_OCTETS,
    ASGIApp,
    Endpoint,
    HttpOptions,
    Outcome,
    Refusal,
    Scope,
    WebsocketHandler,
)
from muttd.listeners.http_plain import Head, plain_request
from muttd.listeners.http_upgrade import UpgradedStream, is_websocket, replayed

# How long we read on after the last answer of a connection, so that the peer, who may still be
# sending, sees the answer instead of a reset (RFC 9112, 9.6).
LINGER_S = 5.0

_ABSOLUTE_FORM = re.compile(rb"https?://[^/?#]+", re.IGNORECASE)


class HttpConnection:
    """Serves one peer until it leaves, is refused, is too slow, or its stream breaks.

    Args:
        stream: Its octets; TCP or TLS.
        app: The ASGI application.
        options: Limits, counters, websocket paths.
        client, server: Both ends as (address, port), where the stream has them.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        app: ASGIApp,
        options: HttpOptions,
        *,
        client: Endpoint | None,
        server: Endpoint | None,
    ) -> None:
        self.options = options
        self.h11 = h11.Connection(
            h11.SERVER, max_incomplete_event_size=options.limits.max_head_octets
        )
        self._stream = stream
        self._direct = DirectSocket(stream) if isinstance(stream, trio.SocketStream) else None
        self._app = app
        self._client = client
        self._server = server
        # One scope for the connection, whose deadline is moved: a scope per read and send costs
        # more than the rest of this file.
        self._scope = trio.CancelScope()
        self._read_deadline = math.inf
        self._send_deadline = math.inf
        self._request_deadline = math.inf
        self._octets_read = 0
        self._request: Head | None = None
        self._exchange: Exchange | None = None

    async def serve(self) -> None:
        """Serve requests one after the other. Raises nothing but trio.Cancelled."""
        try:
            with self._scope:
                await self._serve_requests()
            if self._scope.cancelled_caught:
                await self._too_slow()
        except RefusedRequest as exc:
            await self._answer_refused(exc)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._count(Outcome.GONE)
        finally:
            self._count(Outcome.STOPPED)
            await trio.aclose_forcefully(self._stream)

    async def _serve_requests(self) -> None:
        while (request := await self._wait_request()) is not None:
            self._request = request
            self._set_read_deadline(math.inf)
            if isinstance(request, h11.Request):
                self._check_head(request)
            scope = self._scope_of(request)
            handler = self.options.websockets.get(scope["path"])
            if handler is not None and isinstance(request, h11.Request) and is_websocket(request):
                self._count(Outcome.UPGRADED)
                await self._hand_over(handler, request, scope)
                return
            self._exchange = exchange = Exchange(self, request)
            await exchange.run(self._app, scope)
            self._count(exchange.outcome or Outcome.FAILED)
            if not exchange.end_cycle():
                await self._linger()
                return
            self._exchange = None

    async def _wait_request(self) -> Head | None:
        """The next request head, or None when the peer has left."""
        now = trio.current_time()
        limits = self.options.limits
        self._octets_read = len(self.h11.trailing_data[0])
        is_idle = not self._octets_read
        self._request_deadline = now + limits.request_timeout_s if not is_idle else math.inf
        self._set_read_deadline(now + limits.idle_timeout_s if is_idle else self._request_deadline)
        if is_idle:
            octets = await self._receive_first_octets()
            plain = plain_request(
                octets,
                max_head_octets=limits.max_head_octets,
                max_body_octets=limits.max_body_octets,
            )
            if plain is not None:
                return plain
            self.h11.receive_data(octets)
        while True:
            event = self.next_event()
            if type(event) is h11.Request:
                if is_idle:
                    self._request_deadline = trio.current_time() + limits.request_timeout_s
                return event
            if event is not h11.NEED_DATA:
                return None
            if is_idle and self._octets_read:
                is_idle = False
                self._request_deadline = trio.current_time() + limits.request_timeout_s
                self._set_read_deadline(self._request_deadline)
            self.h11.receive_data(await self._receive_octets())

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """h11's next event.

        Raises:
            RefusedRequest: The octets are not HTTP/1.1, or end in the middle of a request.
        """
        try:
            return self.h11.next_event()
        except h11.RemoteProtocolError as exc:
            is_head = exc.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            refusal = Refusal.HEAD_TOO_LARGE if is_head else Refusal.MALFORMED
            raise RefusedRequest(refusal, at=self._octets_read) from exc

    def refuse(self, refusal: Refusal, what: str | None = None) -> NoReturn:
        """Raise RefusedRequest."""
        raise RefusedRequest(refusal, at=self._octets_read, what=what)

    def _check_head(self, request: h11.Request) -> None:
        max_head_octets = self.options.limits.max_head_octets
        # h11 compares only while a head is incomplete: one that came whole in one read gets by.
        if self._octets_read > max_head_octets and len(replayed(request)) > max_head_octets:
            self.refuse(Refusal.HEAD_TOO_LARGE)
        if request.method == b"CONNECT" or not (
            request.target.startswith(b"/")
            or (request.target == b"*" and request.method == b"OPTIONS")
            or _ABSOLUTE_FORM.match(request.target)
        ):
            self.refuse(Refusal.MALFORMED, "the request target is none that this server has")

    def _scope_of(self, request: Head) -> Scope:
        target = request.target
        if not target.startswith((b"/", b"*")):
            # Absolute form, as clients of a proxy send it (RFC 9112, 3.2.2).
            target = _ABSOLUTE_FORM.sub(b"", target, count=1)
            target = target if target.startswith(b"/") else b"/" + target
        raw_path, _, query = target.partition(b"?")
        path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
        return {
            "type": "http",
            # 2.4: send() raises OSError once the peer is gone.
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": request.http_version.decode("ascii"),
            "method": request.method.decode("ascii"),
            "scheme": self.options.scheme,
            "path": path.decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": self._client,
            "server": self._server,
        }

    async def _receive_first_octets(self) -> bytes:
        if self._direct is None:
            return await self._receive_octets()
        octets = await self._direct.receive(RECEIVE_OCTETS)
        self._octets_read += len(octets)
        return octets

    async def _receive_octets(self) -> bytes:
        octets = bytes(await self._stream.receive_some(RECEIVE_OCTETS))
        self._octets_read += len(octets)
        return octets

    async def receive_body_octets(self) -> None:
        """Read once for h11, within the time that the whole request has."""
        self._set_read_deadline(self._request_deadline)
        self.h11.receive_data(await self._receive_octets())
        self._set_read_deadline(math.inf)

    async def wait_gone(self) -> bool:
        """Read once beyond the request, while the app is at work on it.

        Returns:
            Whether the peer has left; else it has sent the beginning of its next request, which
            is kept for then.
        """
        octets = bytes(await self._stream.receive_some(RECEIVE_OCTETS))
        if octets:
            self.h11.receive_data(octets)
        return not octets

    async def send_whole(self, octets: bytes) -> None:
        """Send a whole answer, at once when the peer has room for it.

        Only after a request that had to be waited for: a peer that sends many in advance would
        keep the loop for as long as they take.
        """
        sent = 0 if self._direct is None else self._direct.send_nowait(octets)
        if sent < len(octets):
            await self.send_octets(octets[sent:])

    async def send_octets(self, octets: bytes) -> None:
        """Send, piece by piece; a peer that does not take one in time is cut off."""
        send_timeout_s = self.options.limits.send_timeout_s
        for start in range(0, len(octets), SEND_PIECE_OCTETS):
            self._set_send_deadline(trio.current_time() + send_timeout_s)
            await self._stream.send_all(memoryview(octets)[start : start + SEND_PIECE_OCTETS])
        self._set_send_deadline(math.inf)

    def _set_read_deadline(self, deadline: float) -> None:
        self._read_deadline = deadline
        self._scope.deadline = min(deadline, self._send_deadline)

    def _set_send_deadline(self, deadline: float) -> None:
        self._send_deadline = deadline
        self._scope.deadline = min(deadline, self._read_deadline)

    async def _too_slow(self) -> None:
        """A deadline has passed; what follows depends on which."""
        if self._send_deadline <= trio.current_time():
            self._count(Outcome.CUT_OFF)
        elif self._read_deadline == self._request_deadline:
            await self._answer_refused(RefusedRequest(Refusal.TOO_SLOW, at=self._octets_read))
        # Else it was idle between two requests, and is left without a word.

    async def _answer_refused(self, refused: RefusedRequest) -> None:
        """Answer in place of the app, unless the app has begun to."""
        self.options.metrics.refused[refused.refusal].inc()
        self.options.metrics.requests[Outcome.REFUSED].inc()
        request, self._request = self._request, None
        if self._exchange is not None and self._exchange.outcome is not None:
            return
        answer = error_answer(refused.refusal, self.options, request, refused.what)
        with trio.move_on_after(self.options.limits.send_timeout_s):
            try:
                await self._stream.send_all(answer)
                await self._linger()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # It left without its answer. It was counted as refused already.
                return

    async def _linger(self) -> None:
        """Say that no more will come, then read what the peer still sends, for a while."""
        with trio.move_on_after(LINGER_S):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(SEND_PIECE_OCTETS):
                pass

    async def _hand_over(
        self, handler: WebsocketHandler, request: h11.Request, scope: Scope
    ) -> None:
        octets = replayed(request) + self.h11.trailing_data[0]
        stream = UpgradedStream(
            self._stream, octets, send_timeout_s=self.options.limits.send_timeout_s
        )
        try:
            await handler(stream, {**scope, "type": "websocket"})
        except Exception as exc:
            # The last line: what one viewer sends must not end the daemon for the others.
            log_failure(exc, scope)

    def _count(self, outcome: Outcome) -> None:
        """Count the outcome of the request in progress, once."""
        if self._request is not None:
            self._request = None
            self.options.metrics.requests[outcome].inc()
