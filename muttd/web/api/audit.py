"""The audit trail, which is the matched events: GET /api/v2/audit-logs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.store.contract import EventQuery
from muttd.web.params import Params
from muttd.web.resource import resource
from muttd.web.responses import decided_as_json, list_response
from muttd.web.services import Services


async def list_audit_logs(request: Request) -> Response:
    """GET /api/v2/audit-logs."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    start, end = params.period("start_date", "end_date")
    query = EventQuery(
        hostname=params.text("hostname"),
        rule_id=params.integer("rule_id", at_least=1),
        matched=True,
        start=start,
        end=end,
    )
    window = params.window()
    params.check()
    page = await services.store.search_events(query, window)
    return list_response("logs", [decided_as_json(each) for each in page.items], page, window)


def audit_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/audit-logs", get=list_audit_logs)]
