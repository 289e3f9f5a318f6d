"""Events, matched and unmatched: GET /api/v2/events and /api/v2/events/{event_id}."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.decision import Decided, alert_id_for
from muttd.event import Transport
from muttd.rules.explain import explain, matches_alone
from muttd.store.contract import MAX_PAGE_ITEMS, EventQuery
from muttd.web.api.alerts import alert_as_json
from muttd.web.declared import list_of, ok
from muttd.web.params import (
    WINDOW,
    boolean_param,
    choice_param,
    event_id_param,
    integer_param,
    moment_param,
    oid_param,
    text_param,
    window_of,
)
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, decided_as_json, list_response, with_iso_times
from muttd.web.services import Services
from muttd.web.shapes import (
    DecidedEvent,
    DecidedThen,
    EventContext,
    EventExplanation,
    ExplainedEvent,
)

Q = text_param("q", "Text in the message, whatever its case.")
HOSTNAME = text_param("hostname", 'Whatever the case; with "*" or "?" a glob.')
SEVERITY = integer_param("severity", "Exactly this severity.", at_most=7)
MAX_SEVERITY = integer_param("max_severity", "This severity or a more severe one.", at_most=7)
TRANSPORT = choice_param("transport", "How it came.", Transport)
TRAP_OID = oid_param("trap_oid", "This OID or one below it, arc by arc.")
RULE_ID = integer_param("rule_id", "The rule that matched; 0: muttd itself.", at_least=0)
TEAM = text_param("team", "The team that the event went to.")
MATCHED = boolean_param("matched", "Whether a rule matched.")
FROM = moment_param("from", "Received then or later.")
TO = moment_param("to", "Received before; a mere date is meant whole.", whole_day=True)
AFTER = event_id_param("after", "Only events received after this one.")
EVENT_ID = text_param("event_id", "The event's id.")
# Of the context of an event, on either side.
CONTEXT_EVENTS = 10
BEFORE = integer_param("before", "How many before it; 10 without it.", at_most=MAX_PAGE_ITEMS)
AFTER_IT = integer_param("after", "How many after it; 10 without it.", at_most=MAX_PAGE_ITEMS)

FILTER = (Q, HOSTNAME, SEVERITY, MAX_SEVERITY, TRANSPORT, TRAP_OID, RULE_ID, TEAM, MATCHED)


@call(
    "Events, matched and unmatched, newest first.",
    params=(*FILTER, FROM, TO, AFTER, *WINDOW),
    answer=list_of("events", DecidedEvent),
)
async def list_events(request: Request) -> Response:
    """GET /api/v2/events."""
    services: Services = request.app.state.services
    given = given_of(request)
    start, end = given.period(FROM, TO)
    query = EventQuery(
        q=given[Q],
        hostname=given[HOSTNAME],
        severity=given[SEVERITY],
        max_severity=given[MAX_SEVERITY],
        transport=given[TRANSPORT],
        trap_oid=given[TRAP_OID],
        rule_id=given[RULE_ID],
        team=given[TEAM],
        matched=given[MATCHED],
        start=start,
        end=end,
        after_id=given[AFTER],
    )
    window = window_of(given)
    page = await services.store.search_events(query, window)
    return list_response("events", [decided_as_json(each) for each in page.items], page, window)


@call(
    "An event with the alert that it raised, and why it was decided so.",
    params=(EVENT_ID,),
    answer=ok(ExplainedEvent),
)
async def get_event(request: Request) -> Response:
    """GET /api/v2/events/{event_id}."""
    services: Services = request.app.state.services
    decided = await _stored(request)
    alert_id = _alert_id(decided)
    found = None if alert_id is None else await services.store.get_alert(alert_id)
    alert = None if found is None else alert_as_json(*found)
    explanation = with_iso_times(await _explained(services, decided))
    return JsonResponse(decided_as_json(decided) | {"alert": alert, "explain": explanation})


@call(
    "An event, and what its host said before and after it, in order of receipt.",
    params=(EVENT_ID, BEFORE, AFTER_IT),
    answer=ok(EventContext),
)
async def get_context(request: Request) -> Response:
    """GET /api/v2/events/{event_id}/context."""
    services: Services = request.app.state.services
    given = given_of(request)
    decided = await _stored(request)
    counts = [CONTEXT_EVENTS if each is None else each for each in (given[BEFORE], given[AFTER_IT])]
    before, after = await services.store.events_near(
        decided.event, before=counts[0], after=counts[1]
    )
    return JsonResponse(
        {
            "event": decided_as_json(decided),
            "before": [decided_as_json(each) for each in before],
            "after": [decided_as_json(each) for each in after],
        }
    )


def event_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/events", get=list_events),
        resource("/api/v2/events/{event_id}", get=get_event),
        resource("/api/v2/events/{event_id}/context", get=get_context),
    ]


def _alert_id(decided: Decided) -> str | None:
    rule_id = decided.decision.rule_id
    return None if rule_id is None else alert_id_for(decided.event.event_id, rule_id)


async def _stored(request: Request) -> Decided:
    services: Services = request.app.state.services
    decided = await services.store.get_event(given_of(request).required(EVENT_ID))
    if decided is None:
        raise HTTPException(404, "There is no such event.")
    return decided


async def _explained(services: Services, decided: Decided) -> EventExplanation:
    decision, rule_set = decided.decision, services.rule_set()
    then, rule = None, None
    if decision.rule_id is not None and decision.rule_revision is not None:
        rule = await services.store.rule_at(decision.rule_id, decision.rule_revision)
        present = await services.store.get_rule(decision.rule_id)
        then = DecidedThen(
            rule_id=decision.rule_id,
            rule_revision=decision.rule_revision,
            rule=rule,
            present_revision=None if present is None else present.revision,
            matches=None if rule is None else matches_alone(rule, decided.event),
        )
    return EventExplanation(
        then=then, now=None if rule_set is None else explain(rule_set, decided.event)
    )
