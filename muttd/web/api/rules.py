"""Rules: GET and POST /api/v2/rules; GET, PUT and DELETE /api/v2/rules/{rule_id}.

A rule that was read may be written back as it is: what is ours (id, times) is passed over. Its
revision is not: a client that read an older one must not undo what another changed since.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.event import iso_utc
from muttd.rules.fields import rule_schema
from muttd.rules.model import Rule, RuleDraft
from muttd.rules.validate import draft_rule
from muttd.store.contract import RuleQuery
from muttd.web.declared import GONE, json_body, list_of, made, ok
from muttd.web.fields import change_of, read_object, reason_problems
from muttd.web.params import (
    CHANGE_REASON,
    WINDOW,
    boolean_param,
    id_param,
    text_param,
    window_of,
)
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted, list_response
from muttd.web.services import Services

Q = text_param("q", "Text in its name, patterns, team or reason.")
IS_ACTIVE = boolean_param("is_active", "Whether it takes part.")
TEAM = text_param("team", "Exactly this team.")
IS_DELETED = boolean_param("is_deleted", "Those that were deleted, which restore brings back.")
RULE_ID = id_param("rule_id", "The rule's number.")

_NEW = json_body(rule_schema(is_new=True))
_UPDATE = json_body(rule_schema(is_new=False))


@call(
    "Rules in order of precedence.",
    params=(Q, IS_ACTIVE, TEAM, IS_DELETED, *WINDOW),
    answer=list_of("rules", Rule),
)
async def list_rules(request: Request) -> Response:
    """GET /api/v2/rules."""
    services: Services = request.app.state.services
    given = given_of(request)
    query = RuleQuery(
        q=given[Q],
        is_active=given[IS_ACTIVE],
        team=given[TEAM],
        is_deleted=bool(given[IS_DELETED]),
    )
    window = window_of(given)
    page = await services.store.search_rules(query, window)
    return list_response("rules", [rule_as_json(rule) for rule in page.items], page, window)


@call("Add a rule.", body=_NEW, answer=made(Rule))
async def create_rule(request: Request) -> Response:
    """POST /api/v2/rules."""
    services: Services = request.app.state.services
    draft, reason = _draft(await read_object(request), present=None)
    rule = await services.store.create_rule(draft, change_of(request, reason))
    services.rules_changed()
    return created(rule_as_json(rule), location=f"/api/v2/rules/{rule.id}")


@call("One rule.", params=(RULE_ID,), answer=ok(Rule))
async def get_rule(request: Request) -> Response:
    """GET /api/v2/rules/{rule_id}."""
    return JsonResponse(rule_as_json(await _present(request)))


@call(
    "Change a rule; what the body leaves out stays as it is.",
    params=(RULE_ID,),
    body=_UPDATE,
    answer=ok(Rule),
    errors=(409,),
)
async def update_rule(request: Request) -> Response:
    """PUT /api/v2/rules/{rule_id}: what the body leaves out stays as it is."""
    services: Services = request.app.state.services
    values = await read_object(request)
    present = await _present(request)
    draft, reason = _draft(values, present=present)
    if values.get("revision", present.revision) != present.revision:
        raise HTTPException(409, f"The rule was changed meanwhile: revision {present.revision}.")
    rule = await services.store.update_rule(present.id, draft, change_of(request, reason))
    services.rules_changed()
    return JsonResponse(rule_as_json(rule))


@call("Delete a rule.", params=(RULE_ID, CHANGE_REASON), answer=GONE)
async def delete_rule(request: Request) -> Response:
    """DELETE /api/v2/rules/{rule_id}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.delete_rule(given.required(RULE_ID), change)
    services.rules_changed()
    return deleted()


def rule_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/rules", get=list_rules, post=create_rule),
        resource("/api/v2/rules/{rule_id}", get=get_rule, put=update_rule, delete=delete_rule),
    ]


def rule_as_json(rule: Rule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return msgspec.structs.asdict(rule) | {
        "created_at": iso_utc(rule.created_at),
        "updated_at": iso_utc(rule.updated_at),
    }


async def _present(request: Request) -> Rule:
    services: Services = request.app.state.services
    rule = await services.store.get_rule(given_of(request).required(RULE_ID))
    if rule is None:
        raise HTTPException(404, "There is no such rule.")
    return rule


def _draft(values: dict[str, Any], *, present: Rule | None) -> tuple[RuleDraft, str | None]:
    """The rule and the change_reason in a body; every problem of both at once."""
    problems = reason_problems(values)
    try:
        draft = draft_rule(values, present=present)
    except InvalidInput as exc:
        raise InvalidInput([*exc.problems, *problems]) from exc
    if problems:
        raise InvalidInput(problems)
    return draft, values.get("change_reason")
