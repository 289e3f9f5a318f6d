"""How bad a trap is, by operators: OID -> severity, for the OID and all below it.

GET    /api/v2/trap-severities               in the order of OIDs, with their names
PUT    /api/v2/trap-severities/{trap_oid}    {"severity": 2} or {"severity": "critical"}
DELETE /api/v2/trap-severities/{trap_oid}
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.errors import InvalidInput
from muttd.event import SEVERITY_NAMES
from muttd.rules.fields import severity_from
from muttd.web.declared import GONE, ok
from muttd.web.fields import CHANGE_REASON as REASON
from muttd.web.fields import Field, ObjectBody, change_of
from muttd.web.params import CHANGE_REASON, MAX_TEXT_CHARS, Param
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import JsonResponse, deleted
from muttd.web.services import Services
from muttd.web.shapes import TrapSeverities, TrapSeverity

_SEVERITY_NAME = {"type": "string", "enum": list(SEVERITY_NAMES)}
# RFC 2578, 3.5: at most 128 numbers below 2**32.
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,9})){1,127}")


def _oid(text: str) -> str:
    oid = text.removeprefix(".").removesuffix(".*")
    if not _OID.fullmatch(oid) or any(int(arc) >= 2**32 for arc in oid.split(".")):
        raise ValueError("must be an OID in numbers, 1.3.6.1.4.1.9")
    return oid


TRAP_OID = Param(
    "trap_oid",
    "The notification, or whatever a family of them has in common.",
    # Some are told by their bounds alone.
    {
        "type": "string",
        "pattern": r"^\.?[0-2](\.(0|[1-9][0-9]{0,8})){1,99}(\.\*)?$",
        "maxLength": MAX_TEXT_CHARS,
    },
    _oid,
)
SEVERITY = Field(
    "severity",
    "0 (emerg) to 7 (debug), or its name.",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 7}, _SEVERITY_NAME]},
    severity_from,
    True,
)
_ENTRY = ObjectBody(SEVERITY, REASON)
# As many as there are notifications in the MIBs of a large vendor.
MAX_ENTRIES = 10_000


@call(
    "Severities of traps that operators have set, in the order of OIDs.", answer=ok(TrapSeverities)
)
async def list_trap_severities(request: Request) -> Response:
    """GET /api/v2/trap-severities."""
    services: Services = request.app.state.services
    severities = await services.store.trap_severities()
    ordered = sorted(severities, key=lambda oid: [int(arc) for arc in oid.split(".")])
    entries = [_entry(services, oid, severities[oid]) for oid in ordered]
    return JsonResponse({"trap_severities": entries, "total": len(entries)})


@call(
    "Give a notification, and all below its OID, a severity.",
    params=(TRAP_OID,),
    body=_ENTRY.body,
    answer=ok(TrapSeverity),
)
async def put_trap_severity(request: Request) -> Response:
    """PUT /api/v2/trap-severities/{trap_oid}."""
    services: Services = request.app.state.services
    given = await _ENTRY.read(request)
    trap_oid = given_of(request).required(TRAP_OID)
    known = await services.store.trap_severities()
    if trap_oid not in known and len(known) >= MAX_ENTRIES:
        raise InvalidInput([("trap_oid", f"there are {MAX_ENTRIES} already, and no more fit")])
    severity = given.required(SEVERITY)
    await services.store.put_trap_severity(trap_oid, severity, change_of(request, given[REASON]))
    services.rules_changed()
    await services.mibs.apply()
    return JsonResponse(_entry(services, trap_oid, severity))


@call("Leave it to the MIBs again.", params=(TRAP_OID, CHANGE_REASON), answer=GONE)
async def remove_trap_severity(request: Request) -> Response:
    """DELETE /api/v2/trap-severities/{trap_oid}."""
    services: Services = request.app.state.services
    given = given_of(request)
    change = change_of(request, given[CHANGE_REASON])
    await services.store.remove_trap_severity(given.required(TRAP_OID), change)
    services.rules_changed()
    await services.mibs.apply()
    return deleted()


def _entry(services: Services, trap_oid: str, severity: int) -> TrapSeverity:
    return {
        "trap_oid": trap_oid,
        "name": services.mibs.in_force.current.qualified_name_of(trap_oid),
        "severity": severity,
        "severity_name": SEVERITY_NAMES[severity],
    }


def trap_severity_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [
        resource("/api/v2/trap-severities", get=list_trap_severities),
        resource(
            "/api/v2/trap-severities/{trap_oid}", put=put_trap_severity, delete=remove_trap_severity
        ),
    ]
