"""Who changed what: GET /api/v2/config-audit."""

from __future__ import annotations

import enum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from muttd.event import iso_utc
from muttd.store.contract import ChangeQuery, ConfigChange
from muttd.web.declared import list_of
from muttd.web.params import WINDOW, choice_param, moment_param, text_param, window_of
from muttd.web.resource import call, given_of, resource
from muttd.web.responses import list_response
from muttd.web.services import Services


class Operation(enum.StrEnum):
    """What a change did."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


CHANGED_BY = text_param("changed_by", "The name of the key that did it.")
TABLE_NAME = text_param("table_name", "The table of the record.")
RECORD_ID = text_param("record_id", "The record.")
OPERATION = choice_param("operation", "What was done.", Operation)
START_DATE = moment_param("start_date", "Changed then or later.")
END_DATE = moment_param("end_date", "Changed before; a mere date is meant whole.", whole_day=True)


@call(
    "Who changed what, newest first.",
    params=(CHANGED_BY, TABLE_NAME, RECORD_ID, OPERATION, START_DATE, END_DATE, *WINDOW),
    answer=list_of("changes", ConfigChange),
)
async def list_changes(request: Request) -> Response:
    """GET /api/v2/config-audit."""
    services: Services = request.app.state.services
    given = given_of(request)
    start, end = given.period(START_DATE, END_DATE)
    query = ChangeQuery(
        changed_by=given[CHANGED_BY],
        table_name=given[TABLE_NAME],
        record_id=given[RECORD_ID],
        operation=given[OPERATION],
        start=start,
        end=end,
    )
    window = window_of(given)
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
