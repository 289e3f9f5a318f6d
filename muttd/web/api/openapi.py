"""GET /api/openapi.json: the whole API, in its own words."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.declared import ok
from muttd.web.resource import EVERYONE, call, resource


@call("This document.", allowed=EVERYONE, answer=ok(dict[str, Any]))
async def get_openapi(request: Request) -> Response:
    """GET /api/openapi.json."""
    return Response(request.app.state.openapi, media_type="application/json")


def openapi_routes() -> list[BaseRoute]:
    """The route of this resource."""
    return [resource("/api/openapi.json", get=get_openapi)]
