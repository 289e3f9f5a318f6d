"""What a person asks first: GET /api/v2/status."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.declared import ok
from muttd.web.resource import call, resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services


@call("What a person asks first, in one document.", answer=ok(dict[str, Any]))
async def get_status(request: Request) -> Response:
    """GET /api/v2/status."""
    services: Services = request.app.state.services
    return JsonResponse(await services.status())


def status_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/status", get=get_status)]
