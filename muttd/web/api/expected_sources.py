"""Who is missed when he is silent: GET and POST /api/v2/expected-sources, PUT and DELETE one."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.rules.model import ExpectedSource
from muttd.web.api.host_entries import HOSTNAME, HOSTNAME_IN_PATH, MISSED_BY
from muttd.web.declared import GONE, Given, made, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import ObjectBody, change_of, integer_field
from muttd.web.params import CHANGE_REASON
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import ExpectedSources

# Shorter than the clocks of senders and the batches of a busy daemon are fine; longer than a year.
_MIN_EVERY_S = 10
_MAX_EVERY_S = 31_622_400
_DEFAULT_SEVERITY = 3

EVERY = integer_field(
    "expect_every_s",
    "Something is heard of the host at least this often, in seconds.",
    at_least=_MIN_EVERY_S,
    at_most=_MAX_EVERY_S,
    is_required=True,
)
SEVERITY = integer_field(
    "severity", "Of the alert when it is silent; 3 (err) if left out.", at_most=7
)
_ENTRY = ObjectBody(HOSTNAME, EVERY, MISSED_BY, SEVERITY, REASON)
_UPDATE = ObjectBody(EVERY, MISSED_BY, SEVERITY, REASON)


@call("Every entry of expected_sources, sorted by host.", answer=ok(ExpectedSources))
async def list_expected(request: Request) -> Response:
    """GET /api/v2/expected-sources."""
    services: Services = request.app.state.services
    entries = await services.store.expected_sources()
    return JsonResponse({"sources": entries, "total": len(entries)})


@call(
    "Expect something of a host, or of those of a glob or a CIDR that were heard before.",
    body=_ENTRY.body,
    answer=made(ExpectedSource),
    errors=(409,),
)
async def add_expected(request: Request) -> Response:
    """POST /api/v2/expected-sources."""
    services: Services = request.app.state.services
    given = await _ENTRY.read(request)
    entry = _entry(given.required(HOSTNAME), given)
    await services.store.add_expected_source(entry, change_of(request, given[REASON]))
    services.rules_changed()
    return created(entry, location=f"/api/v2/expected-sources/{quote(entry.hostname, safe='')}")


@call(
    "Replace what an entry says.",
    params=(HOSTNAME_IN_PATH,),
    body=_UPDATE.body,
    answer=ok(ExpectedSource),
)
async def update_expected(request: Request) -> Response:
    """PUT /api/v2/expected-sources/{hostname}."""
    services: Services = request.app.state.services
    given = await _UPDATE.read(request)
    entry = _entry(given_of(request).required(HOSTNAME_IN_PATH), given)
    await services.store.update_expected_source(entry, change_of(request, given[REASON]))
    services.rules_changed()
    return JsonResponse(entry)


@call(
    "Expect nothing of it any more; if it is silent, that alert is cleared.",
    params=(HOSTNAME_IN_PATH, CHANGE_REASON),
    answer=GONE,
)
async def remove_expected(request: Request) -> Response:
    """DELETE /api/v2/expected-sources/{hostname}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.remove_expected_source(given.required(HOSTNAME_IN_PATH), change)
    services.rules_changed()
    return deleted()


def expected_source_routes() -> list[BaseRoute]:
    """The routes of this resource. A hostname in the path may be a CIDR: it may hold a slash."""
    return [
        resource("/api/v2/expected-sources", get=list_expected, post=add_expected),
        resource(
            "/api/v2/expected-sources/{hostname:path}", put=update_expected, delete=remove_expected
        ),
    ]


def _entry(hostname: str, given: Given) -> ExpectedSource:
    severity = given[SEVERITY]
    return ExpectedSource(
        hostname=hostname,
        expect_every_s=given.required(EVERY),
        team_assignment=given[MISSED_BY],
        severity=_DEFAULT_SEVERITY if severity is None else severity,
    )
