"""What a rule was: GET /api/v2/rules/{rule_id}/revisions, POST /api/v2/rules/{rule_id}/restore.

A deleted rule has revisions too, and comes back by the same call, with the number that it had.
"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import iso_utc
from muttd.rules.model import Rule
from muttd.store.rule_contract import RuleRevision
from muttd.web.api.rules import RULE_ID, rule_as_json
from muttd.web.declared import list_of, ok
from muttd.web.fields import CHANGE_REASON, ObjectBody, change_of, integer_field
from muttd.web.params import WINDOW, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, list_response
from muttd.web.services import Services

REVISION = integer_field("revision", "The one to go back to.", at_least=1, is_required=True)
_BODY = ObjectBody(REVISION, CHANGE_REASON)


@call(
    "A rule as it ever was, newest first; of a deleted rule too.",
    params=(RULE_ID, *WINDOW),
    answer=list_of("revisions", RuleRevision),
)
async def list_revisions(request: Request) -> Response:
    """GET /api/v2/rules/{rule_id}/revisions."""
    services: Services = request.app.state.services
    given = given_of(request)
    window = window_of(given)
    page = await services.store.rule_revisions(given.required(RULE_ID), window)
    if not page.total:
        raise HTTPException(404, "There has never been such a rule.")
    return list_response("revisions", [_as_json(each) for each in page.items], page, window)


@call(
    "Make a rule what it was at a revision; a deleted rule comes back.",
    params=(RULE_ID,),
    body=_BODY.body,
    answer=ok(Rule),
)
async def restore_rule(request: Request) -> Response:
    """POST /api/v2/rules/{rule_id}/restore."""
    services: Services = request.app.state.services
    given = await _BODY.read(request)
    rule = await services.store.restore_rule(
        given_of(request).required(RULE_ID),
        given.required(REVISION),
        change_of(request, given[CHANGE_REASON]),
    )
    services.rules_changed()
    return JsonResponse(rule_as_json(rule))


def rule_revision_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/rules/{rule_id}/revisions", get=list_revisions),
        resource("/api/v2/rules/{rule_id}/restore", post=restore_rule),
    ]


def _as_json(revision: RuleRevision) -> dict[str, Any]:
    return {
        "revision": revision.revision,
        "changed_at": iso_utc(revision.changed_at),
        "changed_by": revision.changed_by,
        "rule": rule_as_json(revision.rule),
    }
