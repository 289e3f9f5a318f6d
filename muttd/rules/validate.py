"""What a client wrote becomes a RuleDraft, or an InvalidInput that names every wrong field.

    {"name": "link down", "match_string": "LINK-3-UPDOWN", "prod_handling": "page_only", ...}
      --draft_rule-->  RuleDraft(name="link down", ..., prod_handling=Handling.PAGE_ONLY)

Nothing is guessed that could turn a page into silence: a handling with a typo, an unknown key, a
pattern that matches everything are all refused.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from muttd.decision import Handling
from muttd.errors import InvalidInput
from muttd.event import SEVERITY_NAMES
from muttd.rules.expression import BadExpression, check_expression
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

FIELDS = RuleDraft.__struct_fields__
# What the API shows of a rule or takes beside it. A client may send back what it got.
IGNORED = frozenset(Rule.__struct_fields__) - frozenset(FIELDS) | {"change_reason"}

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


def validate_host_entry(text: str) -> str:
    """An entry of development_hosts or device_teams in its normal form.

    Raises:
        InvalidInput: It can name no host.
    """
    try:
        return check_host_entry(text)
    except ValueError as exc:
        raise InvalidInput([("hostname", str(exc))]) from exc


def draft_rule(values: Mapping[str, Any], *, present: Rule | None = None) -> RuleDraft:
    """Validate a rule as a client wrote it.

    Args:
        values: JSON values by field. Keys of a stored rule that are ours (id, revision, times)
            and change_reason are let pass and ignored.
        present: The rule that this one replaces; it lends what is missing. Without it, defaults.

    Returns:
        The draft, every value in its normal form.

    Raises:
        InvalidInput: Anything is wrong; every wrong field is named.
    """
    reader = _Reader(values, present)
    fields: dict[str, object] = {
        "name": reader.read("name", _name),
        "match_string": reader.read("match_string", _optional(_match_string), default=None),
        "trap_oid": reader.read("trap_oid", _optional(_oid), default=None),
        "syslog_severity": reader.read("syslog_severity", _optional(severity_from), default=None),
        "severity_op": reader.read("severity_op", _severity_op, default=SeverityOp.EQ),
        "host_pattern": reader.read("host_pattern", _optional(_host_pattern), default=None),
        "priority": reader.read("priority", _priority, default=DEFAULT_PRIORITY),
        "prod_handling": reader.read("prod_handling", _handling),
        "dev_handling": reader.read("dev_handling", _handling),
        "team_assignment": reader.read("team_assignment", _team),
        "repeat_interval_s": reader.read(
            "repeat_interval_s", _optional(_repeat_interval), default=None
        ),
        "clear_match": reader.read("clear_match", _optional(_match_string), default=None),
        "destination": reader.read("destination", _optional(_destination), default=None),
        "is_active": reader.read("is_active", _bool, default=True),
        "reason": reader.read("reason", _optional(_reason), default=None),
        "match_type": reader.read("match_type", _optional(_match_type), default=None),
    }
    if present is not None and present.match_string is None and "match_type" not in values:
        # It had no text, so how that was to be compared was never chosen.
        fields["match_type"] = None
    reader.refuse_unknown_keys()
    _settle_pattern(fields, reader)
    _settle_clear(fields, reader)
    if reader.problems:
        raise InvalidInput(reader.problems.items())
    return msgspec.convert(fields, RuleDraft)


class _Reader:
    """Reads fields one by one and collects what is wrong."""

    def __init__(self, values: Mapping[str, Any], present: Rule | None) -> None:
        self._values = values
        self._present = present
        # In the order found; the first complaint about a field stands.
        self.problems: dict[str, str] = {}

    def read(
        self, field: str, parse: Callable[[object], object], *, default: object = ...
    ) -> object:
        """The field's value; None when it is wrong. Without a default it must be there."""
        if field in self._values:
            try:
                return parse(self._values[field])
            except ValueError as exc:
                self.problems[field] = str(exc)
                return None
        if self._present is not None:
            return getattr(self._present, field)
        if default is ...:
            self.problems[field] = "is missing"
            return None
        return default

    def refuse_unknown_keys(self) -> None:
        """Name every key that is no field, with the field that was probably meant."""
        for key in self._values:
            if key not in FIELDS and key not in IGNORED:
                meant = difflib.get_close_matches(str(key), FIELDS, n=1)
                hint = f"; did you mean {meant[0]}?" if meant else ""
                self.problems[str(key)] = f"no such field{hint}"


def _settle_pattern(fields: dict[str, object], reader: _Reader) -> None:
    """Settle match_type, then judge match_string by it, and the rule as a whole."""
    problems = reader.problems
    if problems.keys() & {"match_string", "match_type", "trap_oid"}:
        return
    text, oid = fields["match_string"], fields["trap_oid"]
    if text is None and oid is not None:
        # The OID is the only pattern, and there is one way to compare an OID.
        fields["match_type"] = MatchType.OID_PREFIX
    elif fields["match_type"] is None:
        fields["match_type"] = MatchType.CONTAINS
    match_type = fields["match_type"]
    if isinstance(text, str):
        try:
            fields["match_string"] = _of_type(text, match_type)
        except ValueError as exc:
            problems["match_string"] = str(exc)
    elif oid is None and match_type is MatchType.OID_PREFIX:
        problems["trap_oid"] = "match_type oid_prefix needs an OID"
    elif oid is None and not _has_condition(fields, problems):
        problems["match_string"] = (
            "a rule needs a pattern (match_string or trap_oid) or a condition"
            " (syslog_severity or host_pattern)"
        )


def _settle_clear(fields: dict[str, object], reader: _Reader) -> None:
    """Judge clear_match by the match_type that was settled."""
    problems, text, match_type = reader.problems, fields["clear_match"], fields["match_type"]
    if not isinstance(text, str) or not isinstance(match_type, MatchType):
        return
    try:
        fields["clear_match"] = text = _of_type(text, match_type)
    except ValueError as exc:
        problems["clear_match"] = f"compared by match_type {match_type}: {exc}"
        return
    oid = fields["trap_oid"] if match_type is MatchType.OID_PREFIX else None
    patterns = [each for each in (fields["match_string"], oid) if isinstance(each, str)]
    if text.casefold() in (pattern.casefold() for pattern in patterns):
        problems["clear_match"] = "is what the rule matches: every problem would end itself"


def _has_condition(fields: dict[str, object], problems: Mapping[str, str]) -> bool:
    # A condition that was refused counts: its own complaint says what to do.
    return any(
        fields[field] is not None or field in problems
        for field in ("syslog_severity", "host_pattern")
    )


def _of_type(text: str, match_type: object) -> str:
    if match_type is MatchType.OID_PREFIX:
        return normalised_oid(text)
    if match_type is MatchType.REGEX:
        try:
            check_expression(text)
        except BadExpression as exc:
            raise ValueError(f"not a usable regex: {exc}") from exc
    return text


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
