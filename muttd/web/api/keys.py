"""API keys: GET and POST /api/v2/keys, DELETE /api/v2/keys/{key_id}; for administrators.

A new key is shown in the answer that makes it, once; afterwards nobody can say what it is. Two
keys of one name overlap: make the new one, give it to whoever used the old one, revoke the old one.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.api_keys import (
    MAX_NAME_CHARACTERS,
    checked_expiry,
    checked_name,
    digest_of,
    new_secret,
    stored_as_json,
)
from muttd.store.access import KeyDraft
from muttd.web.auth import Principal
from muttd.web.declared import GONE, made, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import Field, ObjectBody, change_of, choice_field
from muttd.web.params import CHANGE_REASON, id_param
from muttd.web.resource import MAY_ADMINISTER, call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import ApiKeys, NewApiKey

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class RoleName(enum.StrEnum):
    """The roles, as they are written."""

    INGEST = "ingest"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def _name(value: object) -> str:
    return checked_name(value if isinstance(value, str) else "")


def _moment(value: object) -> datetime:
    try:
        # In UTC, where what is near the year 10000 is no time any more.
        moment = msgspec.convert(value, _Moment).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as exc:
        raise ValueError("must be an RFC 3339 time with an offset or Z") from exc
    return checked_expiry(moment)


NAME = Field(
    "name",
    "Who uses it: the actor in the audit.",
    {"type": "string", "pattern": r"\S", "maxLength": MAX_NAME_CHARACTERS},
    _name,
    is_required=True,
)
ROLE = choice_field("role", "What it may do.", RoleName, is_required=True)
EXPIRES_AT = Field(
    "expires_at",
    "From then on it is none; without it, it does not expire.",
    {"type": "string", "format": "date-time"},
    _moment,
)
KEY_ID = id_param("key_id", "The key's number.")
_NEW = ObjectBody(NAME, ROLE, EXPIRES_AT, REASON)


@call(
    "Every API key, those of the configuration and revoked ones too; never the secrets.",
    allowed=MAY_ADMINISTER,
    answer=ok(ApiKeys),
)
async def list_keys(request: Request) -> Response:
    """GET /api/v2/keys."""
    services: Services = request.app.state.services
    stored = [stored_as_json(each) for each in await services.store.api_keys()]
    configured = [_configured_as_json(each) for each in services.keys.configured]
    return JsonResponse({"keys": [*configured, *stored]})


@call(
    "Make an API key; the answer is the only one that ever shows it.",
    allowed=MAY_ADMINISTER,
    body=_NEW.body,
    answer=made(NewApiKey),
)
async def create_key(request: Request) -> Response:
    """POST /api/v2/keys."""
    services: Services = request.app.state.services
    given = await _NEW.read(request)
    secret = new_secret()
    draft = KeyDraft(
        name=given.required(NAME),
        role=given.required(ROLE),
        key_hash=digest_of(secret),
        expires_at=given[EXPIRES_AT],
    )
    key = await services.store.create_api_key(draft, change_of(request, given[REASON]))
    await services.access_changed()
    return created(stored_as_json(key) | {"key": secret}, location=f"/api/v2/keys/{key.id}")


@call(
    "Revoke an API key and end the sessions that were opened with it.",
    allowed=MAY_ADMINISTER,
    params=(KEY_ID, CHANGE_REASON),
    answer=GONE,
)
async def revoke_key(request: Request) -> Response:
    """DELETE /api/v2/keys/{key_id}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.revoke_api_key(given.required(KEY_ID), change)
    await services.access_changed()
    return deleted()


def key_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/keys", get=list_keys, post=create_key),
        resource("/api/v2/keys/{key_id}", delete=revoke_key),
    ]


def _configured_as_json(principal: Principal) -> dict[str, Any]:
    return {
        "id": None,
        "name": principal.name,
        "role": principal.role.name.lower(),
        "source": "configuration",
        "is_valid": True,
        "created_at": None,
        "created_by": None,
        "expires_at": None,
        "revoked_at": None,
    }
