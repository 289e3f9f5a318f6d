"""What every request and every response wears, whatever route it takes.

    X-Correlation-ID    the client's, if it is fit to be kept, else ours
    /api/v1/x           answered as /api/v2/x, with X-API-Deprecated
    Accept-Version > X-API-Version > api_version     one that we speak, or 400
    security headers, Cache-Control: no-store        unless the route set its own
    the count and the time of the request
    the last line of defence: a 500 that tells nothing, and the traceback in the log

Plain ASGI: nothing here reads a body or holds one back. A path may have a shortcut, which answers
ahead of the router, or leaves the request to it.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muttd.web.metrics import WebMetrics
from muttd.web.responses import error_response

API_VERSION = "2.5"
SUPPORTED_VERSIONS = ("2.5", "2.0", "1.0")

# SPEC: at most 128 printable ASCII characters.
_FIT_CORRELATION_ID = re.compile(r"[\x20-\x7e]{1,128}")

_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        # The websocket too: CSP level 3 counts ws and wss of our own host as 'self'.
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_VERSION_HEADERS = {
    "X-API-Version": API_VERSION,
    "X-API-Supported-Versions": ", ".join(SUPPORTED_VERSIONS),
}

# The same as ASGI has them.
_SECURITY_FIELDS = [(name.lower().encode(), v.encode()) for name, v in _SECURITY_HEADERS.items()]
_VERSION_FIELDS = [(name.lower().encode(), v.encode()) for name, v in _VERSION_HEADERS.items()]
# What is ours to say, whatever a route says.
_SET = frozenset((b"x-correlation-id", b"x-api-deprecated", *(name for name, _ in _VERSION_FIELDS)))

# What the server puts on an answer that it makes itself, before there is a request to hand on.
SERVER_HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in (_SECURITY_HEADERS | _VERSION_HEADERS).items()
)

# Answers and returns None, or returns what the router has to read instead of receive().
Shortcut = Callable[[Scope, Receive, Send], Awaitable[Receive | None]]

_logger = logging.getLogger(__name__)


class Envelope:
    """ASGI middleware, the outermost one of ours.

    Args:
        app: What answers.
        metrics: What counts.
        shortcuts: By method and path.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: WebMetrics,
        shortcuts: Mapping[tuple[str, str], Shortcut] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, dressed and counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        exchange = _Exchange(scope, send)
        try:
            await self._answer(exchange, receive)
        finally:
            if exchange.status is not None:
                self._metrics.count(
                    exchange.scope, exchange.status, time.perf_counter() - started_s
                )

    async def _hand_on(self, exchange: _Exchange, receive: Receive) -> None:
        scope = exchange.scope
        shortcut = self._shortcuts.get((scope["method"], scope["path"]))
        left = receive if shortcut is None else await shortcut(scope, receive, exchange.send)
        if left is not None:
            await self._app(scope, left, exchange.send)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        try:
            wrong = exchange.unsupported_version()
            if wrong is None:
                await self._hand_on(exchange, receive)
                return
            response = error_response(
                Request(exchange.scope),
                400,
                f"API version {wrong!r} is not supported; {', '.join(SUPPORTED_VERSIONS)} are.",
                code="unsupported_version",
            )
        except (ClientDisconnect, ConnectionError):
            # It left, before its request was whole or before its answer was; the transport knows.
            return
        except Exception:
            # Last line of defence. A fault in a handler costs one request and is loud in the log;
            # if it ended the daemon, whoever finds the fault could end it again and again.
            request = Request(exchange.scope)
            _logger.exception(
                "%s %s failed, correlation id %s",
                request.method,
                exchange.template,
                request.state.correlation_id,
            )
            if exchange.status is not None:
                raise
            response = error_response(request, 500, "Something went wrong here; the log says what.")
        await response(exchange.scope, receive, exchange.send)


class _Exchange:
    """One request, its headers read once, and its response on the way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        # The first of each counts.
        self._fields = dict(reversed(scope["headers"]))
        self._send = send
        self.status: int | None = None
        path: str = scope["path"]
        self._is_deprecated = path.startswith("/api/v1/")
        self._is_api = path.startswith("/api/") or path == "/ingest"
        # A path that is no text (a stray surrogate) is nobody's; it must not reach a store either.
        path = path.encode("utf-8", "replace").decode()
        if self._is_deprecated:
            path = "/api/v2/" + path.removeprefix("/api/v1/")
        given = (self._field(b"x-correlation-id") or "").strip()
        self._correlation_id = given if _FIT_CORRELATION_ID.fullmatch(given) else str(uuid.uuid4())
        state = {**scope.get("state", {}), "correlation_id": self._correlation_id}
        self.scope: Scope = {**scope, "path": path, "state": state}

    @property
    def template(self) -> str:
        """The path template of the route that took the request."""
        return getattr(self.scope.get("route"), "path", "unmatched")

    def unsupported_version(self) -> str | None:
        """The version that the client insists on and we do not speak, or None."""
        if not self._is_api:
            return None
        wanted = self._field(b"accept-version")
        if wanted is None:
            wanted = self._field(b"x-api-version")
        if wanted is None and self.scope["query_string"]:
            wanted = QueryParams(self.scope["query_string"]).get("api_version")
        return None if wanted is None or wanted.strip() in SUPPORTED_VERSIONS else wanted[:32]

    def _field(self, name: bytes) -> str | None:
        value = self._fields.get(name)
        return None if value is None else value.decode("latin-1")

    async def send(self, message: Message) -> None:
        """Pass a message on, with our headers, and without a body when the method is HEAD."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._dressed(message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.scope["method"] == "HEAD":
            # RFC 9110, 9.3.2; Content-Length stays what GET would have.
            message = {**message, "body": b""}
        await self._send(message)

    def _dressed(self, fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        dressed = [field for field in fields if field[0] not in _SET]
        names = {name for name, _ in dressed}
        dressed.append((b"x-correlation-id", self._correlation_id.encode("latin-1")))
        dressed += [field for field in _SECURITY_FIELDS if field[0] not in names]
        if self._is_api:
            dressed += _VERSION_FIELDS
        if self._is_deprecated:
            dressed.append((b"x-api-deprecated", b"true"))
        return dressed
