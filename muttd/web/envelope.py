"""What every request and every response wears, whatever route it takes.

    X-Correlation-ID    the client's, if it is fit to be kept, else ours
    /api/v1/x           answered as /api/v2/x, with X-API-Deprecated
    Accept-Version > X-API-Version > api_version     one that we speak, or 400
    security headers, Cache-Control: no-store        unless the route set its own
    the count and the time of the request
    the last line of defence: a 500 that tells nothing, and the traceback in the log

Plain ASGI: nothing here reads a body or holds one back.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders, QueryParams
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

# What the server puts on an answer that it makes itself, before there is a request to hand on.
SERVER_HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in (_SECURITY_HEADERS | _VERSION_HEADERS).items()
)

_logger = logging.getLogger(__name__)


class Envelope:
    """ASGI middleware, the outermost one of ours.

    Args:
        app: What answers.
        metrics: What counts.
    """

    def __init__(self, app: ASGIApp, metrics: WebMetrics) -> None:
        self._app = app
        self._metrics = metrics

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

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        request = Request(exchange.scope)
        try:
            wrong = exchange.unsupported_version()
            if wrong is None:
                await self._app(exchange.scope, receive, exchange.send)
                return
            response = error_response(
                request,
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
        self._headers = Headers(scope=scope)
        self._send = send
        self.status: int | None = None
        path: str = scope["path"]
        self._is_deprecated = path.startswith("/api/v1/")
        self._is_api = path.startswith("/api/") or path == "/ingest"
        # A path that is no text (a stray surrogate) is nobody's; it must not reach a store either.
        path = path.encode("utf-8", "replace").decode()
        if self._is_deprecated:
            path = "/api/v2/" + path.removeprefix("/api/v1/")
        given = self._headers.get("x-correlation-id", "").strip()
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
        query = QueryParams(self.scope["query_string"])
        for wanted in (
            self._headers.get("accept-version"),
            self._headers.get("x-api-version"),
            query.get("api_version"),
        ):
            if wanted is not None:
                return None if wanted.strip() in SUPPORTED_VERSIONS else wanted[:32]
        return None

    async def send(self, message: Message) -> None:
        """Pass a message on, with our headers, and without a body when the method is HEAD."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", [])
            self._dress(MutableHeaders(scope=message))
        elif message["type"] == "http.response.body" and self.scope["method"] == "HEAD":
            # RFC 9110, 9.3.2; Content-Length stays what GET would have.
            message = {**message, "body": b""}
        await self._send(message)

    def _dress(self, headers: MutableHeaders) -> None:
        headers["X-Correlation-ID"] = self._correlation_id
        for name, value in _SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self._is_api:
            headers.update(_VERSION_HEADERS)
        if self._is_deprecated:
            headers["X-API-Deprecated"] = "true"
