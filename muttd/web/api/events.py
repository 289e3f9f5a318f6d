"""Events, matched and unmatched: GET /api/v2/events and /api/v2/events/{event_id}."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.decision import Decided, alert_id_for
from muttd.event import Transport
from muttd.store.contract import EventQuery
from muttd.web.api.alerts import alert_as_json
from muttd.web.params import Params
from muttd.web.resource import resource
from muttd.web.responses import JsonResponse, decided_as_json, list_response
from muttd.web.services import Services


async def list_events(request: Request) -> Response:
    """GET /api/v2/events."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    start, end = params.period("from", "to")
    query = EventQuery(
        q=params.text("q"),
        hostname=params.text("hostname"),
        severity=params.integer("severity", at_most=7),
        max_severity=params.integer("max_severity", at_most=7),
        transport=params.choice("transport", Transport),
        trap_oid=params.oid("trap_oid"),
        rule_id=params.integer("rule_id", at_least=1),
        team=params.text("team"),
        matched=params.boolean("matched"),
        start=start,
        end=end,
        after_id=params.event_id("after"),
    )
    window = params.window()
    params.check()
    page = await services.store.search_events(query, window)
    return list_response("events", [decided_as_json(each) for each in page.items], page, window)


async def get_event(request: Request) -> Response:
    """GET /api/v2/events/{event_id}: with the alert that it raised, if it did."""
    services: Services = request.app.state.services
    Params(request.query_params).check()
    decided = await services.store.get_event(request.path_params["event_id"])
    if decided is None:
        raise HTTPException(404, "There is no such event.")
    alert_id = _alert_id(decided)
    found = None if alert_id is None else await services.store.get_alert(alert_id)
    alert = None if found is None else alert_as_json(*found)
    return JsonResponse(decided_as_json(decided) | {"alert": alert})


def event_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/events", get=list_events),
        resource("/api/v2/events/{event_id}", get=get_event),
    ]


def _alert_id(decided: Decided) -> str | None:
    rule_id = decided.decision.rule_id
    return None if rule_id is None else alert_id_for(decided.event.event_id, rule_id)
