"""Each field of a rule: how it is read, what it takes, and what stands for it when it is missing.

    RULE_FIELDS["priority"].parse(7)        7, or a ValueError that says what is wrong
    rule_schema(is_new=True)                the same, as JSON Schema

What a rule must be as a whole is in validate.py.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from muttd.decision import Handling
from muttd.event import SEVERITY_NAMES
from muttd.rules.hosts import check_host_entry
from muttd.rules.model import DEFAULT_PRIORITY, MatchType, Rule, RuleDraft, SeverityOp
from muttd.rules.oid import normalised_oid

MAX_NAME_CHARACTERS = 200
MAX_TEAM_CHARACTERS = 100
MAX_REASON_CHARACTERS = 1000
# Longer than anybody types; the longest message that syslog carries is 8192 octets.
MAX_MATCH_STRING_CHARACTERS = 2000
MAX_DESTINATION_CHARACTERS = 100
# Under a second nothing is held back that matters; after a year a problem is worth saying again.
MIN_REPEAT_INTERVAL_S = 1
MAX_REPEAT_INTERVAL_S = 31_622_400
# Room for any numbering scheme, and for the integer column of every store.
MIN_PRIORITY = 0
MAX_PRIORITY = 1_000_000

# What the API shows of a rule or takes beside it. A client may send back what it got.
IGNORED = frozenset(Rule.__struct_fields__) - frozenset(RuleDraft.__struct_fields__) | {
    "change_reason"
}

# RFC 5424, 6.2.1, and what senders and operators say for the same.
_SEVERITIES = {name: number for number, name in enumerate(SEVERITY_NAMES)} | {
    "emergency": 0,
    "panic": 0,
    "critical": 2,
    "error": 3,
    "warn": 4,
    "informational": 6,
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUL_OR_SURROGATE = re.compile(r"[\x00\ud800-\udfff]")

Choice = TypeVar("Choice", bound=enum.StrEnum)


def severity_from(value: object) -> int:
    """A severity from its number (0-7, also as text) or its name in any case.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _SEVERITIES:
            return _SEVERITIES[word]
        if len(word) == 1 and word in "01234567":
            return int(word)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 7:
        return value
    raise ValueError(f"must be 0 to 7 or one of {', '.join(SEVERITY_NAMES)}")


def _optional(parse: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else parse(value)


def _text(value: object, at_most: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {_kind(value)}")
    if not value.strip():
        raise ValueError("must not be empty")
    if len(value) > at_most:
        raise ValueError(f"has {len(value)} characters, at most {at_most} are allowed")
    if _NUL_OR_SURROGATE.search(value) is not None:
        raise ValueError("must not contain NUL or half a surrogate pair")
    return value


def _line(value: object, at_most: int) -> str:
    text = _text(value, at_most).strip()
    if _CONTROL.search(text) is not None:
        raise ValueError("must be one line without control characters")
    return text


def _name(value: object) -> str:
    return _line(value, MAX_NAME_CHARACTERS)


def _team(value: object) -> str:
    return _line(value, MAX_TEAM_CHARACTERS)


def _reason(value: object) -> str:
    return _text(value, MAX_REASON_CHARACTERS).strip()


def _match_string(value: object) -> str:
    # Blanks at its ends may be meant: " up" is not "startup".
    return _text(value, MAX_MATCH_STRING_CHARACTERS)


def _oid(value: object) -> str:
    if not isinstance(value, str):
        # YAML reads 1.3 as a number.
        raise ValueError(f"must be text (in YAML: in quotes), not {_kind(value)}")
    return normalised_oid(value)


def _host_pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {_kind(value)}")
    return check_host_entry(value)


def _priority(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be a whole number, not {_kind(value)}")
    if not MIN_PRIORITY <= value <= MAX_PRIORITY:
        raise ValueError(f"must be {MIN_PRIORITY} to {MAX_PRIORITY}")
    return value


def _repeat_interval(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"must be a number of seconds, not {_kind(value)}")
    # NaN fails every comparison.
    if not MIN_REPEAT_INTERVAL_S <= value <= MAX_REPEAT_INTERVAL_S:
        raise ValueError(
            f"must be {MIN_REPEAT_INTERVAL_S} to {MAX_REPEAT_INTERVAL_S} seconds, or null"
        )
    return float(value)


def _destination(value: object) -> str:
    return _line(value, MAX_DESTINATION_CHARACTERS)


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_kind(value)}")
    return value


def _handling(value: object) -> Handling:
    return _choice(value, Handling)


def _match_type(value: object) -> MatchType:
    return _choice(value, MatchType)


def _severity_op(value: object) -> SeverityOp:
    return _choice(value, SeverityOp)


def _choice(value: object, choices: type[Choice]) -> Choice:
    if isinstance(value, str):
        for choice in choices:
            if choice.value.casefold() == value.strip().casefold():
                return choice
    allowed = ", ".join(choice.value for choice in choices)
    raise ValueError(f"must be one of {allowed}")


_KINDS = {type(None): "null", bool: "a boolean", int: "a number", float: "a number with a fraction"}


def _kind(value: object) -> str:
    for kind, name in ((list, "a list"), (dict, "an object"), (str, "text")):
        if isinstance(value, kind):
            return name
    return _KINDS.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class RuleField:
    """How one field is read, and what that takes; without a default it must be there."""

    parse: Callable[[object], object]
    schema: Mapping[str, Any]
    default: object = ...


def _schema(at_most: int | None = None) -> dict[str, Any]:
    bound = {} if at_most is None else {"maxLength": at_most}
    return {"type": "string", "pattern": r"\S", **bound}


def _words(choices: type[enum.StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [choice.value for choice in choices]}


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_SEVERITY_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 7},
        {"type": "string", "enum": [*_SEVERITIES, *"01234567"]},
        {"type": "null"},
    ]
}
_PRIORITY_SCHEMA = {"type": "integer", "minimum": MIN_PRIORITY, "maximum": MAX_PRIORITY}
_INTERVAL_SCHEMA = {
    "type": ["number", "null"],
    "minimum": MIN_REPEAT_INTERVAL_S,
    "maximum": MAX_REPEAT_INTERVAL_S,
}
_PATTERN_SCHEMA = _nullable(_schema(MAX_MATCH_STRING_CHARACTERS))

# In the order in which mistakes are told.
RULE_FIELDS = {
    "name": RuleField(_name, _schema(MAX_NAME_CHARACTERS)),
    "match_string": RuleField(_optional(_match_string), _PATTERN_SCHEMA, None),
    "trap_oid": RuleField(_optional(_oid), _nullable(_schema()), None),
    "syslog_severity": RuleField(_optional(severity_from), _SEVERITY_SCHEMA, None),
    "severity_op": RuleField(_severity_op, _words(SeverityOp), SeverityOp.EQ),
    "host_pattern": RuleField(_optional(_host_pattern), _nullable(_schema()), None),
    "priority": RuleField(_priority, _PRIORITY_SCHEMA, DEFAULT_PRIORITY),
    "prod_handling": RuleField(_handling, _words(Handling)),
    "dev_handling": RuleField(_handling, _words(Handling)),
    "team_assignment": RuleField(_team, _schema(MAX_TEAM_CHARACTERS)),
    "repeat_interval_s": RuleField(_optional(_repeat_interval), _INTERVAL_SCHEMA, None),
    "clear_match": RuleField(_optional(_match_string), _PATTERN_SCHEMA, None),
    "destination": RuleField(
        _optional(_destination), _nullable(_schema(MAX_DESTINATION_CHARACTERS)), None
    ),
    "is_active": RuleField(_bool, {"type": "boolean"}, True),
    "reason": RuleField(_optional(_reason), _nullable(_schema(MAX_REASON_CHARACTERS)), None),
    "match_type": RuleField(_optional(_match_type), _nullable(_words(MatchType)), None),
}


def rule_schema(*, is_new: bool) -> dict[str, Any]:
    """What draft_rule takes, as JSON Schema; a rule that is not new lends what is missing.

    A pattern's grammar and what a rule needs as a whole are beyond it.
    """
    properties = {name: dict(each.schema) for name, each in RULE_FIELDS.items()}
    properties |= {name: {"description": "Ours; passed over."} for name in sorted(IGNORED)}
    properties["change_reason"] = {"type": ["string", "null"], "maxLength": 1024}
    needed = [name for name, each in RULE_FIELDS.items() if each.default is ...]
    return {
        "type": "object",
        "properties": properties,
        "required": needed if is_new else [],
        "additionalProperties": False,
    }
