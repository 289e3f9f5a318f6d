"""Alerts and their deliveries: GET /api/v2/alerts and /api/v2/alerts/{alert_id}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.decision import AlertState, Delivery
from muttd.event import event_as_json, iso_utc
from muttd.store.contract import StoredAlert
from muttd.web.declared import list_of, ok
from muttd.web.params import WINDOW, choice_param, text_param, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, list_response
from muttd.web.services import Services
from muttd.web.shapes import AlertSummary, AlertWithEvent

STATE = choice_param("state", "Where it is on its way out.", AlertState)
HOSTNAME = text_param("hostname", 'Of its event, whatever the case; with "*" or "?" a glob.')
ALERT_ID = text_param("alert_id", "The alert's id.")


@call(
    "Alerts, newest first.",
    params=(STATE, HOSTNAME, *WINDOW),
    answer=list_of("alerts", AlertSummary),
)
async def list_alerts(request: Request) -> Response:
    """GET /api/v2/alerts."""
    services: Services = request.app.state.services
    given = given_of(request)
    window = window_of(given)
    page = await services.store.search_alerts(
        state=given[STATE], hostname=given[HOSTNAME], window=window
    )
    return list_response("alerts", [_summary_as_json(each) for each in page.items], page, window)


@call("An alert with its event and its deliveries.", params=(ALERT_ID,), answer=ok(AlertWithEvent))
async def get_alert(request: Request) -> Response:
    """GET /api/v2/alerts/{alert_id}."""
    services: Services = request.app.state.services
    found = await services.store.get_alert(given_of(request).required(ALERT_ID))
    if found is None:
        raise HTTPException(404, "There is no such alert.")
    stored, deliveries = found
    event = event_as_json(stored.alert.event)
    return JsonResponse(alert_as_json(stored, deliveries) | {"event": event})


def alert_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/alerts", get=list_alerts),
        resource("/api/v2/alerts/{alert_id}", get=get_alert),
    ]


def alert_as_json(stored: StoredAlert, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """An alert with its delivery attempts, oldest first."""
    attempts = [
        {
            "attempt": each.attempt,
            "attempted_at": iso_utc(each.attempted_at),
            "outcome": each.outcome,
            "status": each.status,
            "error": each.error,
            "duration_s": each.duration_s,
        }
        for each in deliveries
    ]
    return _summary_as_json(stored) | {"deliveries": attempts}


def _summary_as_json(stored: StoredAlert) -> dict[str, Any]:
    alert = stored.alert
    return {
        "alert_id": alert.alert_id,
        "signature": alert.signature,
        "state": stored.state,
        "attempts": stored.attempts,
        "updated_at": iso_utc(stored.updated_at),
        "created_at": iso_utc(alert.created_at),
        "last_error": stored.last_error,
        "event_id": alert.event.event_id,
        "hostname": alert.event.hostname,
        "message": alert.event.message,
        "severity": alert.event.severity,
        "rule_id": alert.decision.rule_id,
        "rule_name": alert.decision.rule_name,
        "handling": alert.decision.handling,
        "team": alert.decision.team,
        "environment": alert.decision.environment,
        "destination": alert.decision.destination,
        "is_clear": alert.decision.is_clear,
        "held_back": alert.held_back,
    }
