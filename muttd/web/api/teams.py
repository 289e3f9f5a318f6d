"""Whose a host is: GET and POST /api/v2/teams, PUT and DELETE one."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.rules.model import TeamEntry
from muttd.web.api.host_entries import read_entry
from muttd.web.params import Params, change_of
from muttd.web.resource import resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services


async def list_teams(request: Request) -> Response:
    """GET /api/v2/teams."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    entries = await services.store.device_teams()
    return JsonResponse({"teams": entries, "total": len(entries)})


async def add_team(request: Request) -> Response:
    """POST /api/v2/teams."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    given = await read_entry(request, fields=("hostname", "team_assignment"))
    entry = TeamEntry(**given.values)
    await services.store.add_device_team(entry, change_of(request, given.reason))
    services.rules_changed()
    return created(entry, location=f"/api/v2/teams/{quote(entry.hostname, safe='')}")


async def update_team(request: Request) -> Response:
    """PUT /api/v2/teams/{hostname}."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    given = await read_entry(request, fields=("team_assignment",))
    entry = TeamEntry(hostname=request.path_params["hostname"], **given.values)
    await services.store.update_device_team(entry, change_of(request, given.reason))
    services.rules_changed()
    return JsonResponse(entry)


async def remove_team(request: Request) -> Response:
    """DELETE /api/v2/teams/{hostname}."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    reason = params.text("change_reason")
    params.check()
    change = change_of(request, reason)
    await services.store.remove_device_team(request.path_params["hostname"], change)
    services.rules_changed()
    return deleted()


def team_routes() -> list[BaseRoute]:
    """The routes of this resource. A hostname in the path may be a CIDR: it may hold a slash."""
    return [
        resource("/api/v2/teams", get=list_teams, post=add_team),
        resource("/api/v2/teams/{hostname:path}", put=update_team, delete=remove_team),
    ]
