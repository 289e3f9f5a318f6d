"""One path of the API: which method does what, and who may.

    request --method?--> 405
            --who?-----> 401, 429
            --role?----> 403
            --csrf?----> 403      only when the cookie said who
            --handler--> response

A handler is reached only by a principal that may call it; it finds him in request.state.principal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from muttd.errors import MuttdError
from muttd.web.auth import (
    CSRF_HEADER,
    KEY_HEADER,
    Role,
    Sessions,
    authenticate,
    cookie_header,
    is_same_origin,
)
from muttd.web.services import Services

Handler = Callable[[Request], Awaitable[Response]]

MAY_READ = frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
MAY_CHANGE = frozenset({Role.OPERATOR, Role.ADMIN})
MAY_INGEST = frozenset({Role.INGEST, Role.OPERATOR, Role.ADMIN})

# RFC 9110, 9.2.1.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CrossSite(MuttdError):
    """A browser carried a session's cookie, and nothing shows that our page sent the request."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one method does, and who may."""

    handler: Handler
    allowed: frozenset[Role]


class Resource:
    """ASGI endpoint of one path.

    Args:
        calls: By method; HEAD is answered wherever GET is.
    """

    def __init__(self, calls: dict[str, Call]) -> None:
        self.calls = calls | ({"HEAD": calls["GET"]} if "GET" in calls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        request = Request(scope, receive)
        call = self.calls.get(request.method)
        if call is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.calls))})
        admit(request, call.allowed)
        response = await call.handler(request)
        await response(scope, receive, send)


def resource(
    path: str,
    *,
    get: Handler | None = None,
    post: Handler | None = None,
    put: Handler | None = None,
    delete: Handler | None = None,
) -> Route:
    """The route of one path of the API: viewers may read it, operators may change it."""
    given = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
    calls = {
        method: Call(handler, MAY_READ if method in SAFE_METHODS else MAY_CHANGE)
        for method, handler in given.items()
        if handler is not None
    }
    return Route(path, Resource(calls), name=path)


class Guarded:
    """An ASGI app that only some roles reach: for a route that brings its own endpoint."""

    def __init__(self, app: ASGIApp, *, allowed: frozenset[Role]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        admit(Request(scope), self._allowed)
        await self._app(scope, receive, send)


def admit(request: Request, allowed: frozenset[Role]) -> None:
    """Let the request through, with its principal in request.state, or raise.

    Raises:
        HTTPException: 401, nobody we know; 403, not allowed to him.
        CrossSite: The session's cookie came without the session's CSRF token.
        TooManyGuesses: The peer tried too many wrong keys.
    """
    services: Services = request.app.state.services
    sessions: Sessions = request.app.state.sessions
    headers = request.headers.raw
    peer = request.client.host if request.client else ""
    principal = authenticate(headers, services.keys, sessions, peer=peer)
    if principal is None:
        # RFC 9110, 11.6.1: a 401 names the scheme. Ours has no registered name.
        raise HTTPException(
            401,
            f"Send an API key in {KEY_HEADER}, or sign in.",
            headers={"WWW-Authenticate": 'ApiKey realm="muttd"'},
        )
    if principal.role not in allowed:
        raise HTTPException(403, f"The role {principal.role.name.lower()} may not do this.")
    if KEY_HEADER not in request.headers and request.method not in SAFE_METHODS:
        token = request.headers.get(CSRF_HEADER, "")
        if not is_same_origin(headers) or not sessions.check_csrf(cookie_header(headers), token):
            raise CrossSite
    request.state.principal = principal
