"""The body that names a host: what development_hosts and device_teams have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from muttd.errors import InvalidInput
from muttd.rules.validate import MAX_TEAM_CHARACTERS, validate_host_entry
from muttd.web.params import read_object, reason_problems


@dataclass(frozen=True, slots=True)
class HostEntry:
    """The fields that were asked for, valid, and why they are written."""

    values: dict[str, str]
    reason: str | None


async def read_entry(request: Request, *, fields: Sequence[str]) -> HostEntry:
    """Read the body of a change to development_hosts or device_teams.

    Args:
        request: Whose body it is.
        fields: Which of hostname and team_assignment it must hold.

    Raises:
        InvalidInput: Every field that is missing, wrong or unknown.
        HTTPException: See read_object.
    """
    body = await read_object(request)
    problems = reason_problems(body)
    problems += [(k, "no such field") for k in body if k not in {*fields, "change_reason"}]
    values: dict[str, str] = {}
    for field in fields:
        try:
            values[field] = _valid(field, body.get(field))
        except InvalidInput as exc:
            problems += exc.problems
    if problems:
        raise InvalidInput(problems)
    return HostEntry(values, body.get("change_reason"))


def _valid(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput([(field, "must be text, and not empty")])
    if field == "hostname":
        return validate_host_entry(value)
    team = value.strip()
    if len(team) > MAX_TEAM_CHARACTERS or not team.isprintable():
        raise InvalidInput([(field, f"must be at most {MAX_TEAM_CHARACTERS} printable characters")])
    return team
