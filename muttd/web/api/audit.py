"""The audit trail, which is the matched events: GET /api/v2/audit-logs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.store.contract import EventQuery
from muttd.web.declared import list_of
from muttd.web.params import WINDOW, integer_param, moment_param, text_param, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import decided_as_json, list_response
from muttd.web.services import Services
from muttd.web.shapes import DecidedEvent

HOSTNAME = text_param("hostname", 'Whatever the case; with "*" or "?" a glob.')
RULE_ID = integer_param("rule_id", "The rule that matched; 0: muttd itself.", at_least=0)
START_DATE = moment_param("start_date", "Received then or later.")
END_DATE = moment_param("end_date", "Received before; a mere date is meant whole.", whole_day=True)


@call(
    "The audit trail: matched events, newest first.",
    params=(HOSTNAME, RULE_ID, START_DATE, END_DATE, *WINDOW),
    answer=list_of("logs", DecidedEvent),
)
async def list_audit_logs(request: Request) -> Response:
    """GET /api/v2/audit-logs."""
    services: Services = request.app.state.services
    given = given_of(request)
    start, end = given.period(START_DATE, END_DATE)
    query = EventQuery(
        hostname=given[HOSTNAME], rule_id=given[RULE_ID], matched=True, start=start, end=end
    )
    window = window_of(given)
    page = await services.store.search_events(query, window)
    return list_response("logs", [decided_as_json(each) for each in page.items], page, window)


def audit_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/audit-logs", get=list_audit_logs)]
