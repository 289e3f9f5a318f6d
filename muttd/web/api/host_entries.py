"""The fields that name a host: what the lists of hosts have in common."""

from __future__ import annotations

from muttd.rules.fields import MAX_TEAM_CHARACTERS
from muttd.rules.hosts import MAX_ENTRY_CHARACTERS, check_host_entry
from muttd.web.fields import Field
from muttd.web.params import text_param

_HOST_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ENTRY_CHARACTERS,
    "pattern": r"\S",
}
_TEAM_SCHEMA = {"type": "string", "maxLength": MAX_TEAM_CHARACTERS, "pattern": r"\S"}


def _host(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    return check_host_entry(value)


def _team(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    team = value.strip()
    if len(value) > MAX_TEAM_CHARACTERS or not team.isprintable():
        raise ValueError(f"must be at most {MAX_TEAM_CHARACTERS} printable characters")
    return team


HOSTNAME = Field("hostname", "A host name, a glob or a CIDR.", _HOST_SCHEMA, _host, True)
TEAM_ASSIGNMENT = Field("team_assignment", "Whose the host is.", _TEAM_SCHEMA, _team, True)
MISSED_BY = Field(
    "team_assignment", "Whose the alert is; left out: the host's team.", _TEAM_SCHEMA, _team
)
HOSTNAME_IN_PATH = text_param("hostname", "The entry, as it is listed.")
