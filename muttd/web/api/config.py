"""Dynamic configuration: what is in force, what it would be by itself, and who decided otherwise.

    GET    /api/v2/config                  every key
    PUT    /api/v2/config                  {"values": {key: value or null, ...}}, all or none
    GET    /api/v2/config/{key}            one
    PUT    /api/v2/config/{key}            {"value": ...}
    DELETE /api/v2/config/{key}            back to its default
    GET    /api/v2/config/{key}/history    its changes, newest first

A value that was stored here overrides the environment, and the environment the default.
"""

from __future__ import annotations

import enum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.dynamic import ROWS, Dynamic, checked, type_name, unknown_key
from muttd.errors import InvalidInput, NoSuchRecord
from muttd.event import iso_utc
from muttd.store.contract import ChangeQuery, ConfigChange, SettingValue, StoredSetting
from muttd.web.api.config_audit import change_as_json
from muttd.web.declared import GONE, json_body, list_of, ok
from muttd.web.fields import change_of, read_object, reason_problems
from muttd.web.params import CHANGE_REASON, MAX_TEXT_CHARS, WINDOW, text_param, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, deleted, list_response
from muttd.web.services import Services
from muttd.web.shapes import Config, Setting

TABLE = "dynamic_config"


class Source(enum.StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    STORE = "store"


KEY = text_param("key", "Which setting.")


def _value_schema(key: str) -> dict[str, Any]:
    row = ROWS[key]
    kind = {int: "integer", float: "number"}.get(row.kind, "string")  # type: ignore[call-overload]  # its keys are types
    bounds = {"minimum": row.at_least, "maximum": row.at_most}
    return {
        "type": [kind, "null"],
        "description": row.text,
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }


def _change_schema(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    reason = {"type": ["string", "null"], "maxLength": MAX_TEXT_CHARS}
    return {
        "type": "object",
        "properties": {field: schema, "change_reason": reason},
        "required": [field],
        "additionalProperties": False,
    }


_VALUES_SCHEMA = {
    "type": "object",
    "properties": {key: _value_schema(key) for key in ROWS},
    "additionalProperties": False,
    "minProperties": 1,
}


@call("Every setting that can change while the daemons run.", answer=ok(Config))
async def list_config(request: Request) -> Response:
    """GET /api/v2/config."""
    return JsonResponse({"config": await _shown(request)})


@call(
    "Change some settings at once, all or none; null goes back to the default.",
    body=json_body(_change_schema("values", _VALUES_SCHEMA)),
    answer=ok(Config),
)
async def change_config(request: Request) -> Response:
    """PUT /api/v2/config: some keys at once, all or none; null takes one back to its default."""
    services: Services = request.app.state.services
    body = await read_object(request)
    values = body.get("values")
    problems = _unknown_fields(body, "values") + reason_problems(body)
    if not isinstance(values, dict) or not values:
        problems.append(("values", "must be an object with at least one key"))
        values = {}
    changes = _checked(values, problems)
    await services.store.change_dynamic_values(
        changes, change_of(request, body.get("change_reason"))
    )
    services.dynamic_changed()
    return JsonResponse({"config": await _shown(request)})


@call("One setting.", params=(KEY,), answer=ok(Setting))
async def get_config(request: Request) -> Response:
    """GET /api/v2/config/{key}."""
    return JsonResponse(await _shown_one(request, _key(request)))


@call(
    "Change a setting.",
    params=(KEY,),
    body=json_body(_change_schema("value", {"type": ["number", "string"]})),
    answer=ok(Setting),
)
async def set_config(request: Request) -> Response:
    """PUT /api/v2/config/{key}."""
    services: Services = request.app.state.services
    key = _key(request)
    body = await read_object(request)
    problems = _unknown_fields(body, "value") + reason_problems(body)
    if body.get("value") is None:
        problems.append(("value", "is missing; DELETE goes back to the default"))
    change = change_of(request, body.get("change_reason"))
    changes = _checked({key: body.get("value")}, problems)
    await services.store.change_dynamic_values(changes, change)
    services.dynamic_changed()
    return JsonResponse(await _shown_one(request, key))


@call("Take a setting back to its default.", params=(KEY, CHANGE_REASON), answer=GONE)
async def unset_config(request: Request) -> Response:
    """DELETE /api/v2/config/{key}: back to its default; what is there already stays there."""
    services: Services = request.app.state.services
    change = change_of(request, given_of(request)[CHANGE_REASON])
    await services.store.change_dynamic_values({_key(request): None}, change)
    services.dynamic_changed()
    return deleted()


@call(
    "The changes of a setting, newest first.",
    params=(KEY, *WINDOW),
    answer=list_of("changes", ConfigChange),
)
async def list_history(request: Request) -> Response:
    """GET /api/v2/config/{key}/history."""
    services: Services = request.app.state.services
    window = window_of(given_of(request))
    query = ChangeQuery(table_name=TABLE, record_id=_key(request))
    page = await services.store.config_changes(query, window)
    return list_response("changes", [change_as_json(each) for each in page.items], page, window)


def config_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/config", get=list_config, put=change_config),
        resource("/api/v2/config/{key}", get=get_config, put=set_config, delete=unset_config),
        resource("/api/v2/config/{key}/history", get=list_history),
    ]


def _key(request: Request) -> str:
    key = given_of(request).required(KEY)
    if key not in ROWS:
        raise NoSuchRecord([(key, unknown_key(key))])
    return key


def _unknown_fields(body: dict[str, Any], known: str) -> list[tuple[str, str]]:
    return [
        (name, f"no such field; {known} and change_reason are")
        for name in sorted(body.keys() - {known, "change_reason"})
    ]


def _checked(
    values: dict[str, Any], problems: list[tuple[str, str]]
) -> dict[str, SettingValue | None]:
    """What to change; None: back to the default. Raises InvalidInput with every problem."""
    given = {key: value for key, value in values.items() if value is not None or key not in ROWS}
    try:
        good = checked(given)
    except InvalidInput as exc:
        raise InvalidInput([*problems, *exc.problems]) from exc
    if problems:
        raise InvalidInput(problems)
    return dict.fromkeys(values) | good


async def _shown(request: Request) -> list[dict[str, Any]]:
    services: Services = request.app.state.services
    stored = {each.key: each for each in await services.store.dynamic_values()}
    return [_as_json(services.dynamic, key, stored.get(key)) for key in ROWS]


async def _shown_one(request: Request, key: str) -> dict[str, Any]:
    return next(each for each in await _shown(request) if each["key"] == key)


def _as_json(dynamic: Dynamic, key: str, stored: StoredSetting | None) -> dict[str, Any]:
    row = ROWS[key]
    default = getattr(dynamic.defaults, key)
    source = Source.ENVIRONMENT if key in dynamic.configured else Source.DEFAULT
    if stored is not None:
        source = Source.STORE
    return {
        "key": key,
        "value": default if stored is None else stored.value,
        "default": default,
        "source": source,
        "type": type_name(row),
        "unit": row.unit or None,
        "at_least": row.at_least,
        "at_most": row.at_most,
        "text": row.text,
        "environment_name": row.name,
        "changed_by": None if stored is None else stored.changed_by,
        "changed_at": None if stored is None else iso_utc(stored.changed_at),
    }
