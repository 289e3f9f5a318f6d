"""Is the daemon alive, and is it ready?

    /healthz    the loop turns: it answered
    /readyz     200 when every dependency and listener is well, else 503; JSON of each of them

Neither needs a key, and neither asks the webhook: a receiver's outage is no reason to restart us.
"""

from __future__ import annotations

from typing import Any

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.web.declared import Answer, ok
from muttd.web.resource import EVERYONE, call, resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services
from muttd.web.shapes import Health, Readiness

# A probe that waits longer than this has its answer.
READINESS_TIMEOUT_S = 2.0


@call("Whether the daemon's loop turns.", allowed=EVERYONE, answer=ok(Health))
async def healthz(request: Request) -> Response:
    """GET /healthz."""
    return JsonResponse({"status": "ok"})


@call(
    "Whether every dependency and listener is well.",
    allowed=EVERYONE,
    answer=(ok(Readiness), Answer(503, Readiness)),
)
async def readyz(request: Request) -> Response:
    """GET /readyz."""
    services: Services = request.app.state.services
    dependencies: dict[str, dict[str, Any]] = {
        "readiness": {"ok": False, "error": f"no answer within {READINESS_TIMEOUT_S:g} s"}
    }
    with trio.move_on_after(READINESS_TIMEOUT_S):
        dependencies = await services.readiness()
    is_ready = all(each["ok"] for each in dependencies.values())
    return JsonResponse(
        {"status": "ready" if is_ready else "unready", "dependencies": dependencies},
        status_code=200 if is_ready else 503,
    )


def health_routes() -> list[BaseRoute]:
    """The routes of both."""
    return [resource("/healthz", get=healthz), resource("/readyz", get=readyz)]
