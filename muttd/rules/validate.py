"""What a client wrote becomes a RuleDraft, or an InvalidInput that names every wrong field.

    {"name": "link down", "match_string": "LINK-3-UPDOWN", "prod_handling": "page_only", ...}
      --draft_rule-->  RuleDraft(name="link down", ..., prod_handling=Handling.PAGE_ONLY)

Nothing is guessed that could turn a page into silence: a handling with a typo, an unknown key, a
pattern that matches everything are all refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from muttd.errors import InvalidInput
from muttd.rules.expression import BadExpression, check_expression
from muttd.rules.fields import IGNORED, RULE_FIELDS
from muttd.rules.hosts import check_host_entry
from muttd.rules.model import MatchType, Rule, RuleDraft
from muttd.rules.oid import normalised_oid


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
    fields = {
        name: reader.read(name, each.parse, default=each.default)
        for name, each in RULE_FIELDS.items()
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
            if key not in RULE_FIELDS and key not in IGNORED:
                meant = difflib.get_close_matches(str(key), RULE_FIELDS, n=1)
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
