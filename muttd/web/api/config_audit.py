"""Who changed what: GET /api/v2/config-audit."""

from __future__ import annotations

import enum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import iso_utc
from muttd.store.contract import ChangeQuery, ConfigChange
from muttd.web.params import Params
from muttd.web.resource import resource
from muttd.web.responses import list_response
from muttd.web.services import Services


class Operation(enum.StrEnum):
    """What a change did."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


async def list_changes(request: Request) -> Response:
    """GET /api/v2/config-audit."""
    services: Services = request.app.state.services
    params = Params(request.query_params)
    start, end = params.period("start_date", "end_date")
    query = ChangeQuery(
        changed_by=params.text("changed_by"),
        table_name=params.text("table_name"),
        record_id=params.text("record_id"),
        operation=params.choice("operation", Operation),
        start=start,
        end=end,
    )
    window = params.window()
    params.check()
    page = await services.store.config_changes(query, window)
    return list_response("changes", [change_as_json(each) for each in page.items], page, window)


def config_audit_routes() -> list[BaseRoute]:
    """The routes of this resource."""
    return [resource("/api/v2/config-audit", get=list_changes)]


def change_as_json(change: ConfigChange) -> dict[str, Any]:
    """A change as the API shows it."""
    return {
        "id": change.id,
        "changed_at": iso_utc(change.changed_at),
        "changed_by": change.changed_by,
        "operation": change.operation,
        "table_name": change.table_name,
        "record_id": change.record_id,
        "old_value": change.old_value,
        "new_value": change.new_value,
        "reason": change.reason,
        "correlation_id": change.correlation_id,
    }
