"""API keys: GET and POST /api/v2/keys, DELETE /api/v2/keys/{key_id}; for administrators.

A new key is shown in the answer that makes it, once; afterwards nobody can say what it is. Two
keys of one name overlap: make the new one, give it to whoever used the old one, revoke the old one.
"""

from __future__ import annotations

import enum
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import iso_utc, utc_now
from muttd.store.access import KeyDraft, StoredKey
from muttd.web.auth import Principal, digest_of
from muttd.web.declared import GONE, made, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import Field, ObjectBody, change_of, choice_field
from muttd.web.params import CHANGE_REASON, id_param
from muttd.web.resource import MAY_ADMINISTER, call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import ApiKeys, NewApiKey

# 256 bits: nobody guesses it, and it still fits a line of a terminal.
_KEY_OCTETS = 32
MAX_NAME_CHARACTERS = 100

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class RoleName(enum.StrEnum):
    """The roles, as they are written."""

    INGEST = "ingest"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def _name(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise ValueError(f"must be 1 to {MAX_NAME_CHARACTERS} printable characters")
    return name


def _moment(value: object) -> datetime:
    try:
        # In UTC, where what is near the year 10000 is no time any more.
        moment = msgspec.convert(value, _Moment).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as exc:
        raise ValueError("must be an RFC 3339 time with an offset or Z") from exc
    if moment <= utc_now():
        raise ValueError("must be in the future")
    return moment


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
    stored = [_stored_as_json(each) for each in await services.store.api_keys()]
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
    secret = secrets.token_urlsafe(_KEY_OCTETS)
    draft = KeyDraft(
        name=given.required(NAME),
        role=given.required(ROLE),
        key_hash=digest_of(secret),
        expires_at=given[EXPIRES_AT],
    )
    key = await services.store.create_api_key(draft, change_of(request, given[REASON]))
    await services.access_changed()
    return created(_stored_as_json(key) | {"key": secret}, location=f"/api/v2/keys/{key.id}")


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


def _stored_as_json(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "source": "store",
        "is_valid": key.is_valid(utc_now()),
        "created_at": iso_utc(key.created_at),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at is None else iso_utc(key.expires_at),
        "revoked_at": None if key.revoked_at is None else iso_utc(key.revoked_at),
    }


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
