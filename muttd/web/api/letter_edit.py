"""A dead letter as JSON, and what of it may be edited.

    {"event": {"hostname": "sw1"}, "alert": {"signature": "..."}, "change_reason": "..."}

Only what is given changes. A client may send back everything it got: a field that cannot be edited
is refused only when it differs. What comes out is an event, or an alert, as the daemon makes them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from muttd.decision import Alert, decode_alerts, encode_alerts
from muttd.errors import InvalidInput, StoreRefused
from muttd.event import Event, decode_events, encode_events, event_as_json, iso_utc
from muttd.queue.letters import DeadLetter, LetterKind
from muttd.rules.fields import MAX_TEAM_CHARACTERS, severity_from
from muttd.rules.oid import normalised_oid
from muttd.rules.signature import MAX_SIGNATURE_OCTETS
from muttd.web.fields import reason_problems
from muttd.web.params import MAX_TEXT_CHARS

MAX_MESSAGE_CHARACTERS = 1_000_000
MAX_NAME_CHARACTERS = 255

Problems = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit comes to.

    Attributes:
        payload: Of the letter.
        old, new: What changes, for the audit.
    """

    payload: bytes
    old: dict[str, Any]
    new: dict[str, Any]


def letter_summary(letter: DeadLetter, *, max_replays: int) -> dict[str, Any]:
    """A letter in a list. What it is about is null when its payload cannot be read."""
    event, _ = _content(letter)
    return {
        "letter_id": letter.letter_id,
        "kind": letter.kind,
        "item_id": letter.item_id,
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "is_parked": letter.replays >= max_replays,
        "first_failed_at": iso_utc(letter.first_failed_at),
        "last_failed_at": iso_utc(letter.last_failed_at),
        "origin": letter.origin,
        "destination": letter.destination,
        "hostname": None if event is None else event.hostname,
        "severity": None if event is None else event.severity,
        "message": None if event is None else event.message,
    }


def letter_as_json(letter: DeadLetter, *, max_replays: int) -> dict[str, Any]:
    """A letter with all that is in it."""
    event, alert = _content(letter)
    return letter_summary(letter, max_replays=max_replays) | {
        "event": None if event is None else event_as_json(event),
        "alert": None if alert is None else _alert_as_json(alert),
        # What no program of ours can read, for a person who can.
        "payload_base64": base64.b64encode(letter.payload).decode() if event is None else None,
    }


def _alert_as_json(alert: Alert) -> dict[str, Any]:
    decision = alert.decision
    return {
        "alert_id": alert.alert_id,
        "signature": alert.signature,
        "created_at": iso_utc(alert.created_at),
        "team": decision.team,
        "handling": decision.handling,
        "environment": decision.environment,
        "rule_id": decision.rule_id,
        "rule_name": decision.rule_name,
    }


def _content(letter: DeadLetter) -> tuple[Event | None, Alert | None]:
    try:
        if letter.kind is LetterKind.ALERT:
            [alert] = decode_alerts(letter.payload)
            return alert.event, alert
        [event] = decode_events(letter.payload)
    except (StoreRefused, ValueError):
        return None, None
    return event, None


def _text(value: object, *, at_most: int, is_optional: bool = False) -> str | None:
    if value is None and is_optional:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    if len(value) > at_most or "\0" in value:
        raise ValueError(f"must be at most {at_most} characters without NUL")
    return value


def _facility(value: object) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= 23):
        return value
    raise ValueError("must be null or a number from 0 to 23")


def _oid(value: object) -> str | None:
    return None if value is None else normalised_oid(str(_text(value, at_most=2000)))


def _attributes(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def _signature(value: object) -> str | None:
    text = _text(value, at_most=MAX_SIGNATURE_OCTETS)
    if len(str(text).encode()) > MAX_SIGNATURE_OCTETS:
        raise ValueError(f"must be at most {MAX_SIGNATURE_OCTETS} octets")
    if str(text).count("::") < 1:
        raise ValueError('must name host and class: "host::class::..."')
    return text


def _name(value: object) -> str | None:
    return _text(value, at_most=MAX_NAME_CHARACTERS)


def _optional_name(value: object) -> str | None:
    return _text(value, at_most=MAX_NAME_CHARACTERS, is_optional=True)


_EVENT_FIELDS: Mapping[str, Callable[[object], object]] = {
    "hostname": _name,
    "message": lambda value: _text(value, at_most=MAX_MESSAGE_CHARACTERS),
    "severity": severity_from,
    "facility": _facility,
    "app_name": _optional_name,
    "procid": _optional_name,
    "msgid": _optional_name,
    "trap_oid": _oid,
    "attributes": _attributes,
}
_ALERT_FIELDS: Mapping[str, Callable[[object], object]] = {
    "signature": _signature,
    "team": lambda value: _text(value, at_most=MAX_TEAM_CHARACTERS, is_optional=True),
}
# What each of them takes depends on what is there: edit_letter knows.
EDIT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"type": ["object", "null"], "description": f"Any of {', '.join(_EVENT_FIELDS)}."},
        "alert": {"type": ["object", "null"], "description": f"Any of {', '.join(_ALERT_FIELDS)}."},
        "change_reason": {"type": ["string", "null"], "maxLength": MAX_TEXT_CHARS},
    },
    "additionalProperties": False,
}
# It follows from another one.
_DERIVED = frozenset({"severity_name"})


def edit_letter(letter: DeadLetter, body: Mapping[str, Any]) -> Edited:
    """Make the edit that a client wants.

    Raises:
        InvalidInput: Every field that is wrong, unknown or fixed; or there is nothing to edit.
    """
    event, alert = _content(letter)
    if event is None:
        raise InvalidInput([("letter_id", "cannot be read; it can only be discarded")])
    problems = reason_problems(body)
    parts = ("event", "alert") if alert is not None else ("event",)
    problems += [(name, "no such field") for name in body if name not in (*parts, "change_reason")]
    shown = event_as_json(event)
    event_values = _values(body, "event", shown, _EVENT_FIELDS, problems)
    alert_shown = {} if alert is None else _alert_as_json(alert)
    alert_values = _values(body, "alert", alert_shown, _ALERT_FIELDS, problems)
    if not problems and not event_values and not alert_values:
        problems.append(("body", "nothing is changed"))
    if problems:
        raise InvalidInput(problems)
    event = replace(event, **event_values)
    if alert is None:
        payload = encode_events([event])
    else:
        signature = alert_values.get("signature", alert.signature)
        decision = replace(alert.decision, team=alert_values.get("team", alert.decision.team))
        edited = replace(alert, event=event, signature=signature, decision=decision)
        payload = encode_alerts([edited])
    return Edited(
        payload,
        {f"event.{name}": shown[name] for name in event_values}
        | {f"alert.{name}": alert_shown[name] for name in alert_values},
        {f"event.{name}": value for name, value in event_values.items()}
        | {f"alert.{name}": value for name, value in alert_values.items()},
    )


def _values(
    body: Mapping[str, Any],
    part: str,
    shown: Mapping[str, Any],
    fields: Mapping[str, Callable[[object], object]],
    problems: Problems,
) -> dict[str, Any]:
    """The fields of one part that differ from what they are, valid; problems grows."""
    given = body.get(part)
    if given is None:
        return {}
    if not isinstance(given, dict):
        problems.append((part, "must be an object"))
        return {}
    values = {}
    for name, value in given.items():
        if name in shown and value == shown[name]:
            continue
        if name in fields:
            try:
                values[name] = fields[name](value)
            except ValueError as exc:
                problems.append((f"{part}.{name}", str(exc)))
            except InvalidInput as exc:
                problems += [(f"{part}.{name}", what) for _, what in exc.problems]
        elif name not in _DERIVED:
            what = "cannot be changed" if name in shown else "no such field"
            problems.append((f"{part}.{name}", what))
    return values
