"""Rules from and to a file: GET /api/v2/rules/export, POST /api/v2/rules/import.

    export?format=yaml|json                      every rule, as a file for a repository
    import?mode=merge|replace&dry_run=true       YAML or JSON of the same form; all or nothing

Rules are the same when their names are: a new name is created, a changed rule updated. With
replace, a rule that the file does not have is deleted.
"""

from __future__ import annotations

import enum
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.rules.exchange import Form, drafts_from_text, plan_import, rules_to_json, rules_to_yaml
from muttd.rules.fields import rule_schema
from muttd.rules.model import RulePlan
from muttd.web.declared import Body, ok
from muttd.web.fields import change_of
from muttd.web.params import CHANGE_REASON, boolean_param, choice_param
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse
from muttd.web.services import Services

# Ten thousand rules have some three million.
MAX_FILE_OCTETS = 8_000_000
_YAML = "application/yaml"
_JSON = "application/json"
_MEDIA_TYPES: dict[str, Form] = {
    _JSON: "json",
    _YAML: "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
}


class Format(enum.StrEnum):
    """Of a file of rules."""

    YAML = "yaml"
    JSON = "json"


class Mode(enum.StrEnum):
    """What becomes of rules that the file does not have: merge leaves them, replace deletes."""

    MERGE = "merge"
    REPLACE = "replace"


class RuleFile(msgspec.Struct, frozen=True):
    """A file of rules; of each only what is not the default."""

    rules: list[dict[str, Any]]


class ImportedRule(msgspec.Struct, frozen=True):
    """One rule that an import changes; rule_id is null for one that is new."""

    operation: str
    rule_id: int | None
    name: str


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or with dry_run would do."""

    dry_run: bool
    created: int
    updated: int
    deleted: int
    unchanged: int
    changes: list[ImportedRule]


FORMAT = choice_param("format", "Of the file; YAML without it.", Format)
MODE = choice_param("mode", "Whether rules that the file does not have go; merge without it.", Mode)
DRY_RUN = boolean_param("dry_run", "Change nothing, say what would be.")

_FILE_SCHEMA = {
    "type": "object",
    "properties": {"rules": {"type": "array", "items": rule_schema(is_new=True)}},
    "required": ["rules"],
    "additionalProperties": False,
}
_FILE = Body({_JSON: _FILE_SCHEMA, _YAML: {"type": "string"}})


@call(
    "Every rule as a file, which import takes.",
    params=(FORMAT,),
    answer=(ok(RuleFile, media_type=_YAML), ok(RuleFile)),
)
async def export_rules(request: Request) -> Response:
    """GET /api/v2/rules/export."""
    services: Services = request.app.state.services
    rules = await services.store.all_rules()
    form = given_of(request)[FORMAT] or Format.YAML
    write = rules_to_json if form is Format.JSON else rules_to_yaml
    # Seconds at ten thousand rules: not on the event loop.
    text = await trio.to_thread.run_sync(write, rules)
    return Response(
        text,
        media_type=_JSON if form is Format.JSON else _YAML,
        headers={"Content-Disposition": f'attachment; filename="rules.{form.value}"'},
    )


@call(
    "Create, update and with mode=replace delete rules by a file, all or none.",
    params=(MODE, DRY_RUN, CHANGE_REASON),
    body=_FILE,
    answer=ok(ImportResult),
)
async def import_rules(request: Request) -> Response:
    """POST /api/v2/rules/import."""
    services: Services = request.app.state.services
    given = given_of(request)
    form = _form_of(request)
    text = await _read_text(request)

    # So is reading as many.
    wanted = await trio.to_thread.run_sync(partial(drafts_from_text, text, form=form))
    plan_of = partial(plan_import, wanted=wanted, replaces=given[MODE] is Mode.REPLACE)
    is_dry = bool(given[DRY_RUN])
    if is_dry:
        plan = plan_of(await services.store.all_rules())
    else:
        change = change_of(request, given[CHANGE_REASON])
        plan = await services.store.rewrite_rules(plan_of, change)
        services.rules_changed()
    return JsonResponse(_result(plan, is_dry=is_dry))


def rule_exchange_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/rules/export", get=export_rules),
        resource("/api/v2/rules/import", post=import_rules),
    ]


def _form_of(request: Request) -> Form:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = _MEDIA_TYPES.get(content_type)
    if form is None:
        raise HTTPException(415, f"The body must be {_YAML} or {_JSON}.")
    return form


async def _read_text(request: Request) -> str:
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_FILE_OCTETS:
                raise HTTPException(413, f"The body is longer than {MAX_FILE_OCTETS} octets.")
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput([("rules", "not UTF-8 text")]) from exc


def _result(plan: RulePlan, *, is_dry: bool) -> ImportResult:
    return ImportResult(
        dry_run=is_dry,
        created=len(plan.create),
        updated=len(plan.update),
        deleted=len(plan.delete),
        unchanged=plan.unchanged,
        changes=[
            *(ImportedRule("create", None, draft.name) for draft in plan.create),
            *(ImportedRule("update", rule.id, draft.name) for rule, draft in plan.update),
            *(ImportedRule("delete", rule.id, rule.name) for rule in plan.delete),
        ],
    )
