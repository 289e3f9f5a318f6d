"""One path of the API: which method does what, who may, what it takes and what it answers.

    Q = text_param("q", "Text in the name.")

    @call("Rules in order of precedence.", params=(Q, *WINDOW), answer=list_of("rules", Rule))
    async def list_rules(request: Request) -> Response:
        given = given_of(request)
        ... given[Q], window_of(given) ...

    resource("/api/v2/rules", get=list_rules, post=create_rule)

    request --method?--> 405
            --who?-----> 401, 429
            --role?----> 403
            --csrf?----> 403      only when the cookie said who
            --params?--> 400      only those declared; all mistakes at once
            --handler--> response

This one declaration validates the request, guards the route and is its entry in
/api/openapi.json; tests hold real responses to it. A handler is reached only by a principal that
may call it; it finds him in request.state.principal.

    params    Params of the query and, by their name, of the path (params.py)
    body      ObjectBody(...).body, or json_body(schema) (fields.py, declared.py)
    answer    ok(Type), list_of("name", Type), made(Type), GONE, or several of them: any type that
              msgspec can describe: a Struct, a TypedDict, dict[str, Any] where it is open
    errors    statuses of its own: 409, 404 without a path parameter (the others are implied)
    allowed   who may; without it MAY_READ for GET and MAY_CHANGE for the others; the table in
              tests/web/test_resource.py says so once more
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from muttd.errors import MuttdError
from muttd.web.auth import (
    CSRF_HEADER,
    KEY_HEADER,
    Role,
    cookie_header,
    is_same_origin,
)
from muttd.web.declared import Answer, Body, Given
from muttd.web.params import Param, read_params
from muttd.web.services import Services
from muttd.web.sessions import Sessions, authenticate

Handler = Callable[[Request], Awaitable[Response]]

MAY_READ = frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN})
MAY_CHANGE = frozenset({Role.OPERATOR, Role.ADMIN})
MAY_ADMINISTER = frozenset({Role.ADMIN})
MAY_INGEST = frozenset({Role.INGEST, Role.OPERATOR, Role.ADMIN})
# Nobody is asked who he is.
EVERYONE: frozenset[Role] = frozenset()

# RFC 9110, 9.2.1.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CrossSite(MuttdError):
    """A browser carried a session's cookie, and nothing shows that our page sent the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one method of one path does; see the module.

    Attributes:
        handler: Answers.
        summary: A whole sentence: it is the documentation.
        allowed: Who may; None: whoever may call such a method.
        params, body: What it takes.
        answers: What it answers when it goes well.
        errors: Statuses of its own.
    """

    handler: Handler
    summary: str
    allowed: frozenset[Role] | None
    params: tuple[Param[Any], ...]
    body: Body | None
    answers: tuple[Answer, ...]
    errors: tuple[int, ...]

    def who_may(self, method: str) -> frozenset[Role]:
        """The roles that may call it with that method; EVERYONE: without a key."""
        if self.allowed is not None:
            return self.allowed
        return MAY_READ if method in SAFE_METHODS else MAY_CHANGE


def call(
    summary: str,
    *,
    answer: Answer | tuple[Answer, ...],
    allowed: frozenset[Role] | None = None,
    params: tuple[Param[Any], ...] = (),
    body: Body | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[Handler], Call]:
    """Declare a handler; see the module."""

    def declare(handler: Handler) -> Call:
        return Call(
            handler=handler,
            summary=summary,
            allowed=allowed,
            params=params,
            body=body,
            answers=answer if isinstance(answer, tuple) else (answer,),
            errors=errors,
        )

    return declare


class Resource:
    """ASGI endpoint of one path.

    Args:
        calls: By method; HEAD is answered wherever GET is.
    """

    def __init__(self, calls: Mapping[str, Call]) -> None:
        self.calls = {**calls, **({"HEAD": calls["GET"]} if "GET" in calls else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        request = Request(scope, receive)
        call = self.calls.get(request.method)
        if call is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.calls))})
        allowed = call.who_may(request.method)
        if allowed is not EVERYONE:
            await admit(request, allowed)
        given = read_params(call.params, request.query_params, request.path_params)
        request.state.given = given
        response = await call.handler(request)
        await response(scope, receive, send)


def resource(
    path: str,
    *,
    get: Call | None = None,
    post: Call | None = None,
    put: Call | None = None,
    delete: Call | None = None,
) -> Route:
    """The route of one path of the API."""
    given = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
    calls = {method: call for method, call in given.items() if call is not None}
    return Route(path, Resource(calls), name=path)


def given_of(request: Request) -> Given:
    """What the request gives of its call's parameters."""
    given: Given = request.state.given
    return given


async def admit(request: Request, allowed: frozenset[Role]) -> None:
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
    principal = await authenticate(headers, services.keys, sessions, peer=peer)
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
        is_ours = await sessions.check_csrf(cookie_header(headers), token)
        if not is_same_origin(headers) or not is_ours:
            raise CrossSite
    request.state.principal = principal
