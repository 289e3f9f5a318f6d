"""Whose a host is: GET and POST /api/v2/teams, PUT and DELETE one."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.rules.model import TeamEntry
from muttd.web.api.host_entries import HOSTNAME, HOSTNAME_IN_PATH, TEAM_ASSIGNMENT
from muttd.web.declared import GONE, made, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import ObjectBody, change_of
from muttd.web.params import CHANGE_REASON
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import Teams

_ENTRY = ObjectBody(HOSTNAME, TEAM_ASSIGNMENT, REASON)
_UPDATE = ObjectBody(TEAM_ASSIGNMENT, REASON)


@call("Every entry of device_teams, sorted by host.", answer=ok(Teams))
async def list_teams(request: Request) -> Response:
    """GET /api/v2/teams."""
    services: Services = request.app.state.services
    entries = await services.store.device_teams()
    return JsonResponse({"teams": entries, "total": len(entries)})


@call(
    "Give a host, or those of a glob or a CIDR, a team.",
    body=_ENTRY.body,
    answer=made(TeamEntry),
    errors=(409,),
)
async def add_team(request: Request) -> Response:
    """POST /api/v2/teams."""
    services: Services = request.app.state.services
    given = await _ENTRY.read(request)
    entry = TeamEntry(
        hostname=given.required(HOSTNAME), team_assignment=given.required(TEAM_ASSIGNMENT)
    )
    await services.store.add_device_team(entry, change_of(request, given[REASON]))
    services.rules_changed()
    return created(entry, location=f"/api/v2/teams/{quote(entry.hostname, safe='')}")


@call(
    "Give an entry another team.",
    params=(HOSTNAME_IN_PATH,),
    body=_UPDATE.body,
    answer=ok(TeamEntry),
)
async def update_team(request: Request) -> Response:
    """PUT /api/v2/teams/{hostname}."""
    services: Services = request.app.state.services
    given = await _UPDATE.read(request)
    entry = TeamEntry(
        hostname=given_of(request).required(HOSTNAME_IN_PATH),
        team_assignment=given.required(TEAM_ASSIGNMENT),
    )
    await services.store.update_device_team(entry, change_of(request, given[REASON]))
    services.rules_changed()
    return JsonResponse(entry)


@call(
    "Remove an entry of device_teams.",
    params=(HOSTNAME_IN_PATH, CHANGE_REASON),
    answer=GONE,
)
async def remove_team(request: Request) -> Response:
    """DELETE /api/v2/teams/{hostname}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.remove_device_team(given.required(HOSTNAME_IN_PATH), change)
    services.rules_changed()
    return deleted()


def team_routes() -> list[BaseRoute]:
    """The routes of this resource. A hostname in the path may be a CIDR: it may hold a slash."""
    return [
        resource("/api/v2/teams", get=list_teams, post=add_team),
        resource("/api/v2/teams/{hostname:path}", put=update_team, delete=remove_team),
    ]
