"""Operators' MIBs: what is in force, what is missing, and uploads for every daemon.

    GET    /api/v2/mibs            every text: uploads, and files of the daemon that answers
    POST   /api/v2/mibs            a text, as it is: Content-Type: text/plain
    DELETE /api/v2/mibs/{name}     an upload; files are removed from the directory

What cannot be parsed is refused and not kept; what lacks a module is kept, and says which.
"""

from __future__ import annotations

from contextlib import aclosing
from urllib.parse import quote

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.mibs.compiler import MAX_TEXT_OCTETS
from muttd.mibs.entry import MibEntry, Origin, State
from muttd.web.declared import GONE, Body, made, ok
from muttd.web.fields import change_of
from muttd.web.params import CHANGE_REASON, text_param
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, created, deleted
from muttd.web.services import Services
from muttd.web.shapes import Mibs

# Each costs the parser a second once, and every daemon some memory.
MAX_UPLOADS = 1000
# A daemon that just started may have hundreds of texts to read first.
_APPLY_S = 20.0

_TEXT = Body({"text/plain": {"type": "string", "maxLength": MAX_TEXT_OCTETS}})
NAME = text_param("name", "The upload, as it is listed.")


@call("Every text with MIBs: its state, what it names, and what it lacks.", answer=ok(Mibs))
async def list_mibs(request: Request) -> Response:
    """GET /api/v2/mibs."""
    services: Services = request.app.state.services
    entries = list(services.mibs.entries)
    return JsonResponse({"mibs": entries, "total": len(entries)})


@call(
    "Upload a text with MIBs for all daemons; it replaces the one of the same first module.",
    params=(CHANGE_REASON,),
    body=_TEXT,
    answer=made(MibEntry),
    errors=(413, 415),
)
async def upload_mib(request: Request) -> Response:
    """POST /api/v2/mibs."""
    services: Services = request.app.state.services
    octets = await _read_text(request)
    parsed = await services.mibs.check(octets)
    if parsed.error is not None:
        raise InvalidInput([("text", parsed.error)])
    name = parsed.modules[0].name
    uploads = {each.name for each in await services.store.mibs()}
    if name not in uploads and len(uploads) >= MAX_UPLOADS:
        raise InvalidInput([("text", f"{MAX_UPLOADS} MIBs are uploaded already, and no more fit")])
    change = change_of(request, given_of(request)[CHANGE_REASON])
    await services.store.put_mib(name, octets, change)
    services.rules_changed()
    await _apply(services)
    entry = MibEntry(
        name=name,
        origin=Origin.UPLOADED,
        state=State.WAITING,
        octets=len(octets),
        error=None,
        modules=[],
        uploaded_by=change.actor,
    )
    for each in services.mibs.entries:
        if each.origin is Origin.UPLOADED and each.name == name:
            entry = each
    return created(entry, location=f"/api/v2/mibs/{quote(name, safe='')}")


@call("Remove an upload.", params=(NAME, CHANGE_REASON), answer=GONE)
async def remove_mib(request: Request) -> Response:
    """DELETE /api/v2/mibs/{name}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.remove_mib(given.required(NAME), change)
    services.rules_changed()
    await _apply(services)
    return deleted()


async def _apply(services: Services) -> None:
    # Stored it is; when it takes longer, every daemon is at it by itself.
    with trio.move_on_after(_APPLY_S):
        await services.mibs.apply()


async def _read_text(request: Request) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "text/plain":
        raise HTTPException(415, "The body must be text/plain: the MIB as it is.")
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_TEXT_OCTETS:
                raise HTTPException(413, f"The body is longer than {MAX_TEXT_OCTETS} octets.")
    return bytes(body)


def mib_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/mibs", get=list_mibs, post=upload_mib),
        resource("/api/v2/mibs/{name}", delete=remove_mib),
    ]
