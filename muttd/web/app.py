"""The web side as one ASGI application: routes, and what each error becomes.

    Envelope --> Starlette's router --> Resource (role, CSRF) --> handler --> store
       |              ^ every error comes back here and leaves in the one shape
       +-------> QuickIngest: the ordinary of the one route that is asked most

Plain ASGI, so that the server is replaceable; it needs trio to run under. The websocket
/api/v2/live is the transport's (muttd/web/live.py).
"""

from __future__ import annotations

import math

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from muttd.errors import DuplicateRecord, InvalidInput, NoSuchRecord, QueueFull, StoreUnavailable
from muttd.web.api.alerts import alert_routes
from muttd.web.api.audit import audit_routes
from muttd.web.api.config import config_routes
from muttd.web.api.config_audit import config_audit_routes
from muttd.web.api.dead_letters import dead_letter_routes
from muttd.web.api.dry_run import dry_run_routes
from muttd.web.api.events import event_routes
from muttd.web.api.expected_sources import expected_source_routes
from muttd.web.api.hosts import host_routes
from muttd.web.api.ingest import ingest_routes
from muttd.web.api.keys import key_routes
from muttd.web.api.metrics import metric_routes
from muttd.web.api.mibs import mib_routes
from muttd.web.api.openapi import openapi_routes
from muttd.web.api.rule_exchange import rule_exchange_routes
from muttd.web.api.rule_revisions import rule_revision_routes
from muttd.web.api.rules import rule_routes
from muttd.web.api.status import status_routes
from muttd.web.api.teams import team_routes
from muttd.web.api.trap_severities import trap_severity_routes
from muttd.web.auth import CSRF_HEADER, KeysNotRead
from muttd.web.envelope import Envelope
from muttd.web.guesses import TooManyGuesses
from muttd.web.health import health_routes
from muttd.web.ingest_quick import QuickIngest
from muttd.web.metrics import WebMetrics, metrics_routes
from muttd.web.openapi import openapi_document
from muttd.web.pages import page_routes
from muttd.web.resource import CrossSite
from muttd.web.responses import RETRY_AFTER_S, error_response
from muttd.web.services import Services
from muttd.web.sessions import Sessions

_SENTENCES = {
    404: "There is nothing at this path.",
    405: "This path does not know this method.",
}


def api_routes() -> list[BaseRoute]:
    """Everything but the pages, in the order in which routes are tried."""
    return [
        *ingest_routes(),
        *health_routes(),
        *metrics_routes(),
        *event_routes(),
        *audit_routes(),
        # Before the routes of one rule, which would take "test" for its number.
        *dry_run_routes(),
        *rule_exchange_routes(),
        *rule_routes(),
        *rule_revision_routes(),
        *host_routes(),
        *team_routes(),
        *mib_routes(),
        *trap_severity_routes(),
        *expected_source_routes(),
        *config_routes(),
        *config_audit_routes(),
        *alert_routes(),
        *dead_letter_routes(),
        *key_routes(),
        *metric_routes(),
        *status_routes(),
        *openapi_routes(),
    ]


def create_app(services: Services, sessions: Sessions) -> ASGIApp:
    """The application.

    Args:
        services: What the web side may use.
        sessions: The signed-in browsers; the websocket, which is not ours, looks at them too.
    """
    routes = [*api_routes(), *page_routes(services, sessions)]
    metrics = WebMetrics.register(services.registry, routes)
    shortcuts = {("POST", route.path): QuickIngest(route) for route in ingest_routes()}
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Envelope, metrics=metrics, shortcuts=shortcuts)],
        exception_handlers={
            HTTPException: _refused,
            InvalidInput: _invalid,
            NoSuchRecord: _no_such_record,
            DuplicateRecord: _duplicate,
            StoreUnavailable: _unavailable,
            TooManyGuesses: _too_many_guesses,
            CrossSite: _cross_site,
        },
    )
    # A redirect would be built from the Host header, which the client chose.
    app.router.redirect_slashes = False
    app.state.openapi = msgspec.json.encode(openapi_document(routes))
    app.state.services = services
    app.state.sessions = sessions
    return app


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    # Starlette's own have a bare phrase as their detail; ours have a sentence.
    message = _SENTENCES[exc.status_code] if _is_bare(exc) else exc.detail
    return error_response(request, exc.status_code, message, headers=exc.headers)


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, InvalidInput)
    return error_response(
        request, 400, str(exc) or "Wrong input.", code="invalid_input", details=exc.problems
    )


async def _no_such_record(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, InvalidInput)
    return error_response(request, 404, str(exc), details=exc.problems)


async def _duplicate(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, InvalidInput)
    return error_response(request, 409, str(exc), code="duplicate", details=exc.problems)


async def _unavailable(request: Request, exc: Exception) -> Response:
    # Its text may hold a path or a statement; a queue's limit is the client's business.
    is_clients = isinstance(exc, QueueFull | KeysNotRead)
    message = str(exc) if is_clients else "The store does not answer; try again."
    return error_response(request, 503, message, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _too_many_guesses(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, TooManyGuesses)
    wait_s = str(math.ceil(exc.retry_after_s))
    return error_response(request, 429, str(exc), headers={"Retry-After": wait_s})


async def _cross_site(request: Request, exc: Exception) -> Response:
    return error_response(
        request,
        403,
        f"A session's request must come from our own pages and carry {CSRF_HEADER}.",
        code="csrf",
    )


def _is_bare(exc: HTTPException) -> bool:
    return exc.status_code in _SENTENCES and exc.detail in {"Not Found", "Method Not Allowed"}
