"""What a viewer of the Live page wants to see. Pure.

    {"q", "hostname", "severity", "max_severity", "transport"}   known at receipt
    {"rule_id", "team", "matched"}                               known after the decision

The words and their meaning are those of GET /api/v2/events, so that the page can fill a gap.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated

import msgspec

from muttd.decision import Decision
from muttd.errors import InvalidInput
from muttd.event import Event, Transport

_Text = Annotated[str, msgspec.Meta(max_length=500)]
_Severity = Annotated[int, msgspec.Meta(ge=0, le=7)]


class LiveFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events. None: any.

    Attributes:
        q: Text in the message, case-insensitive.
        hostname: Exact, case-insensitive; with "*" or "?" a glob.
        severity: Exactly this one.
        max_severity: This one or more severe (numerically at most).
        transport: Exactly this one.
        rule_id, team: Of the decision, exactly.
        matched: Whether any rule matched.
    """

    q: _Text | None = None
    hostname: _Text | None = None
    severity: _Severity | None = None
    max_severity: _Severity | None = None
    transport: Transport | None = None
    rule_id: int | None = None
    team: _Text | None = None
    matched: bool | None = None

    @property
    def needs_decision(self) -> bool:
        """Whether it can be answered only after the decision."""
        return self.rule_id is not None or self.team is not None or self.matched is not None


EVERYTHING = LiveFilter()


def parse_filter(document: object) -> LiveFilter:
    """A filter as a client wrote it. Empty texts are absent; numbers may be in digits.

    Raises:
        InvalidInput: A field that is none of ours, or a value that is none of the field's.
    """
    if not isinstance(document, dict):
        raise InvalidInput([("filter", "must be an object")])
    given = {name: value for name, value in document.items() if value not in (None, "")}
    try:
        return msgspec.convert(given, LiveFilter, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidInput([("filter", str(exc))]) from exc


class Matcher:
    """A filter, compiled."""

    def __init__(self, wanted: LiveFilter) -> None:
        self._wanted = wanted
        self.is_everything = wanted == EVERYTHING
        self._text = None if wanted.q is None else wanted.q.casefold()
        hostname = wanted.hostname
        is_glob = hostname is not None and ("*" in hostname or "?" in hostname)
        self._glob: re.Pattern[str] | None = None
        self._hostname: str | None = None
        if hostname is not None and is_glob:
            # Only "*" and "?" are special; fnmatch knows "[" too.
            pattern = fnmatch.translate(hostname.casefold().replace("[", "[[]"))
            self._glob = re.compile(pattern)
        elif hostname is not None:
            self._hostname = hostname.casefold()

    def shows(self, event: Event, decision: Decision | None) -> bool:
        """Whether the event is wanted.

        Args:
            event: The event.
            decision: Its decision; without one, what the filter says of decisions is not looked
                at.
        """
        wanted = self._wanted
        if wanted.max_severity is not None and event.severity > wanted.max_severity:
            return False
        if wanted.severity is not None and event.severity != wanted.severity:
            return False
        if wanted.transport is not None and event.transport is not wanted.transport:
            return False
        if self._hostname is not None and event.hostname.casefold() != self._hostname:
            return False
        if self._glob is not None and not self._glob.match(event.hostname.casefold()):
            return False
        if self._text is not None and self._text not in event.message.casefold():
            return False
        return decision is None or self._shows_decision(decision)

    def _shows_decision(self, decision: Decision) -> bool:
        wanted = self._wanted
        return (
            (wanted.rule_id is None or decision.rule_id == wanted.rule_id)
            and (wanted.team is None or decision.team == wanted.team)
            and (wanted.matched is None or decision.matched is wanted.matched)
        )
