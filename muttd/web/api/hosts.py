"""Which hosts are development hosts: GET and POST /api/v2/dev-hosts, DELETE one."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.api.host_entries import HOSTNAME, HOSTNAME_IN_PATH
from muttd.web.declared import GONE, made, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import ObjectBody, change_of
from muttd.web.params import CHANGE_REASON
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import DevHost, DevHosts

_ENTRY = ObjectBody(HOSTNAME, REASON)


@call("Every development host, sorted.", answer=ok(DevHosts))
async def list_dev_hosts(request: Request) -> Response:
    """GET /api/v2/dev-hosts."""
    services: Services = request.app.state.services
    hosts = await services.store.development_hosts()
    return JsonResponse({"hosts": [{"hostname": host} for host in hosts], "total": len(hosts)})


@call(
    "Make a host, or those of a glob or a CIDR, development hosts.",
    body=_ENTRY.body,
    answer=made(DevHost),
    errors=(409,),
)
async def add_dev_host(request: Request) -> Response:
    """POST /api/v2/dev-hosts."""
    services: Services = request.app.state.services
    given = await _ENTRY.read(request)
    hostname = given.required(HOSTNAME)
    await services.store.add_development_host(hostname, change_of(request, given[REASON]))
    services.rules_changed()
    return created({"hostname": hostname}, location=f"/api/v2/dev-hosts/{quote(hostname, safe='')}")


@call(
    "Take an entry off the development hosts.",
    params=(HOSTNAME_IN_PATH, CHANGE_REASON),
    answer=GONE,
)
async def remove_dev_host(request: Request) -> Response:
    """DELETE /api/v2/dev-hosts/{hostname}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.remove_development_host(given.required(HOSTNAME_IN_PATH), change)
    services.rules_changed()
    return deleted()


def host_routes() -> list[BaseRoute]:
    """The routes of this resource. A hostname in the path may be a CIDR: it may hold a slash."""
    return [
        resource("/api/v2/dev-hosts", get=list_dev_hosts, post=add_dev_host),
        resource("/api/v2/dev-hosts/{hostname:path}", delete=remove_dev_host),
    ]
