"""What a person asks first: GET /api/v2/status."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.params import Params
from muttd.web.resource import resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services


async def get_status(request: Request) -> Response:
    """GET /api/v2/status."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    return JsonResponse(await services.status())


def status_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/status", get=get_status)]
