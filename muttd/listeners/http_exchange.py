"""One request and its answer, as the ASGI app sees them.

    http.request, ..., http.disconnect          <-- receive()
    http.response.start, http.response.body ... --> send()

The answer's head is held back until its first part of the body, to go out with it in one piece.
A plain request with a plain answer never meets h11; as soon as either turns out to be anything
else, h11 is fed what it would have been fed at first, and goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
import trio

from muttd.listeners.http_answer import REASONS, HttpDate, RefusedRequest, error_answer, log_failure
from muttd.listeners.http_options import ASGIApp, Message, Outcome, Refusal, Scope
from muttd.listeners.http_plain import Head, PlainRequest, plain_answer

if TYPE_CHECKING:
    from muttd.listeners.http_connection import HttpConnection

# What a chunk of a chunked body is charged at least. Without it a body of one-octet chunks, within
# the size limit, costs minutes of parsing.
CHUNK_COST_OCTETS = 64

_http_date = HttpDate()


class Exchange:
    """One request and its answer.

    Attributes:
        request: The head that was read.
        outcome: How the app answered; None until the head of the answer is made.
    """

    def __init__(self, connection: HttpConnection, request: Head) -> None:
        self.request = request
        # None once h11 has it.
        self._plain = request if isinstance(request, PlainRequest) else None
        self.outcome: Outcome | None = None
        self._connection = connection
        self._h11 = connection.h11
        self._start: Message | None = None
        self._refused: RefusedRequest | None = None
        self._is_gone = False
        self._is_body_read = False
        self._body_cost_octets = 0
        self._ended = trio.Event()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the app for this request, and answer for it when it does not.

        Raises:
            RefusedRequest: The body is over a limit or out of its grammar.
            trio.BrokenResourceError: The peer is gone.
        """
        self._check_length()
        try:
            await app(scope, self.receive, self.send)
        except Exception as exc:
            # The last line: a bug that one request hits must not end the daemon. The peer gets a
            # 500, the log gets the place in the code, and the loop goes on.
            self._log_failure(exc, scope)
        except BaseExceptionGroup as group:
            # The same, when the app was cancelled and failed at once.
            cancelled, failures = group.split(trio.Cancelled)
            self._log_failure(failures or group, scope)
            if cancelled is not None:
                raise cancelled from None
        if self._refused is not None:
            raise self._refused
        if self._is_gone:
            raise trio.BrokenResourceError
        if self.outcome is None:
            self.outcome = Outcome.FAILED
            answer = error_answer(Refusal.FAILED, self._connection.options, self.request)
            await self._connection.send_octets(answer)

    def _log_failure(self, exc: BaseException, scope: Scope) -> None:
        # Of a request that is refused, or whose peer is gone, it is only the aftermath.
        if self._refused is None and not self._is_gone:
            log_failure(exc, scope)

    def end_cycle(self) -> bool:
        """Whether both sides may go on with another request; if so, h11 is ready for it."""
        if self._plain is not None:
            return self._ended.is_set()
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    def _to_h11(self) -> None:
        """From here on h11 has the request, as far as it was read."""
        if self._plain is None:
            return
        self._h11.receive_data(self._plain.octets)
        self._plain = None
        self._connection.next_event()
        if self._is_body_read:
            self._buffered_body()

    def _check_length(self) -> None:
        """Refuse by Content-Length, before the first octet of the body is read."""
        limit = self._connection.options.limits.max_body_octets
        for name, value in self.request.headers:
            # h11 has checked that there is one, and that it is a number (RFC 9112, 6.3).
            if name == b"content-length" and int(value) > limit:
                self._connection.refuse(Refusal.BODY_TOO_LARGE)

    async def receive(self) -> Message:
        """The app asks for the next part of the body, or, after its end, waits for the end of all.

        A body that is refused looks like a peer that has gone; what the app makes of that is not
        sent.
        """
        if self._is_body_read or self._refused is not None or self._is_gone:
            if self.outcome is None:
                # What follows on the connection has to be kept somewhere.
                self._to_h11()
            await self._wait_end()
            return {"type": "http.disconnect"}
        if self._plain is not None:
            self._is_body_read = True
            return {"type": "http.request", "body": self._plain.body, "more_body": False}
        try:
            if self._h11.they_are_waiting_for_100_continue and self.outcome is None:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=REASONS[100])
                await self._connection.send_octets(self._h11.send(go_on))
            while not (body := self._buffered_body()) and not self._is_body_read:
                await self._connection.receive_body_octets()
        except RefusedRequest as exc:
            self._refused = exc
            self._ended.set()
            return {"type": "http.disconnect"}
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._is_gone = True
            self._ended.set()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": not self._is_body_read}

    async def _wait_end(self) -> None:
        """Wait until the app has answered, or the peer does not want it any longer."""
        if self._ended.is_set() or not self._is_body_read:
            await self._ended.wait()
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_peer)
            await self._ended.wait()
            nursery.cancel_scope.cancel()

    async def _watch_peer(self) -> None:
        try:
            self._is_gone = await self._connection.wait_gone()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._is_gone = True
        if self._is_gone:
            self._ended.set()

    def _buffered_body(self) -> bytes:
        """As much of the body as is here already."""
        limit = self._connection.options.limits.max_body_octets
        parts: list[bytes] = []
        while True:
            event = self._connection.next_event()
            if type(event) is not h11.Data:
                self._is_body_read = event is not h11.NEED_DATA
                return parts[0] if len(parts) == 1 else b"".join(parts)
            octets = len(event.data)
            self._body_cost_octets += max(octets, CHUNK_COST_OCTETS) if event.chunk_end else octets
            if self._body_cost_octets > limit:
                self._connection.refuse(Refusal.BODY_TOO_LARGE)
            parts.append(bytes(event.data))

    async def send(self, message: Message) -> None:
        """The app answers.

        Raises:
            OSError: The peer is gone.
            h11.LocalProtocolError, RuntimeError: No answer of HTTP/1.1; the app's fault.
        """
        if self._refused is not None:
            return
        if self._is_gone:
            raise ConnectionResetError("the peer is gone")
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if self._plain is not None and self.outcome is not None:
            raise RuntimeError("http.response.body came after the end of the answer")
        plain = None if has_more else self._plain_octets(body)
        octets = self._h11_octets(body, has_more=has_more) if plain is None else plain
        if self._refused is not None:
            return
        try:
            if plain is not None:
                await self._connection.send_whole(plain)
            else:
                await self._connection.send_octets(octets)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._is_gone = True
            self._ended.set()
            raise ConnectionResetError("the peer is gone") from exc
        if not has_more:
            self._ended.set()

    def _plain_octets(self, body: bytes) -> bytes | None:
        """The whole answer, when nobody needs h11 for it."""
        if self._plain is None or self._start is None:
            return None
        status: int = self._start["status"]
        headers = [(b"date", _http_date.octets()), *self._start.get("headers", ())]
        octets = plain_answer(status, headers, body)
        if octets is not None:
            self.outcome = Outcome.of(status)
            # Or passed over, as _head does.
            self._is_body_read = True
        return octets

    def _h11_octets(self, body: bytes, *, has_more: bool) -> bytes:
        """The next part of the answer."""
        self._to_h11()
        octets = b"" if self.outcome is not None else self._head(len(body), has_more=has_more)
        if self._refused is not None:
            return b""
        if body and self.request.method != b"HEAD":
            octets += self._h11.send(h11.Data(data=body))
        if not has_more:
            octets += self._h11.send(h11.EndOfMessage())
        return octets

    def _head(self, body_octets: int, *, has_more: bool) -> bytes:
        if self._start is None:
            raise RuntimeError("http.response.body came before http.response.start")
        status: int = self._start["status"]
        headers = [(b"date", _http_date.octets()), *self._start.get("headers", ())]
        has_length = any(name.lower() == b"content-length" for name, _ in headers)
        if not has_more and not has_length and status not in (204, 304):
            headers.append((b"content-length", b"%d" % body_octets))
        if not self._is_body_read:
            self._skip_body()
        if self._refused is not None:
            return b""
        if not self._is_body_read:
            # The rest of a body that nobody wants cannot be told from the next request.
            headers.append((b"connection", b"close"))
        reason = REASONS.get(status, b"")
        octets = self._h11.send(h11.Response(status_code=status, headers=headers, reason=reason))
        self.outcome = Outcome.of(status)
        return octets

    def _skip_body(self) -> None:
        """Read past what is here already of a body that the app did not ask for."""
        try:
            self._buffered_body()
        except RefusedRequest as exc:
            self._refused = exc
            self._ended.set()
