"""Which hosts are development hosts: GET and POST /api/v2/dev-hosts, DELETE one."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.api.host_entries import read_entry
from muttd.web.params import Params, change_of
from muttd.web.resource import resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services


async def list_dev_hosts(request: Request) -> Response:
    """GET /api/v2/dev-hosts."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    hosts = await services.store.development_hosts()
    return JsonResponse({"hosts": [{"hostname": host} for host in hosts], "total": len(hosts)})


async def add_dev_host(request: Request) -> Response:
    """POST /api/v2/dev-hosts."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    entry = await read_entry(request, fields=("hostname",))
    hostname = entry.values["hostname"]
    await services.store.add_development_host(hostname, change_of(request, entry.reason))
    services.rules_changed()
    return created({"hostname": hostname}, location=f"/api/v2/dev-hosts/{quote(hostname, safe='')}")


async def remove_dev_host(request: Request) -> Response:
    """DELETE /api/v2/dev-hosts/{hostname}."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    reason = params.text("change_reason")
    params.check()
    change = change_of(request, reason)
    await services.store.remove_development_host(request.path_params["hostname"], change)
    services.rules_changed()
    return deleted()


def host_routes() -> list[BaseRoute]:
    """The routes of this resource. A hostname in the path may be a CIDR: it may hold a slash."""
    return [
        resource("/api/v2/dev-hosts", get=list_dev_hosts, post=add_dev_host),
        resource("/api/v2/dev-hosts/{hostname:path}", delete=remove_dev_host),
    ]
