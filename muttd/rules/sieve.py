r"""Which encoded events may match a rule, without decoding them: one pass over thousands at once.

    rule --must_hold()--> literals --Hyperscan over the joined octets--> places of candidates

A stored event is MessagePack, in which every text stands as its own UTF-8. So whatever the engine
must find in one text of the event (engine.py), the octets hold as well; but what spans two of
them (app_name[procid]: message) they do not: a literal is cut where the engine puts them together.

It proposes too much and never misses. Letters that fold onto ASCII (the Kelvin sign is a k), and
an empty message, for which the engine lets structured data stand in, are proposed always.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import hyperscan

from muttd.rules.compile import oids_of, text_of
from muttd.rules.hosts import address_of, glob_expression, is_glob
from muttd.rules.literals import required_literals
from muttd.rules.model import MatchType, Rule
from muttd.rules.oid import normalised_oid

# Shorter ones are in nearly every event.
_MIN_LITERAL = 2
# What stands between app_name, procid and message, and around structured data.
_SEAM = re.compile(r"[\[\]:]+")
_PRINTABLE = re.compile(r"[ -~]+")

# Every character that is not ASCII and whose casefold() holds a letter that is. A test compares.
FOLDING_ONTO_ASCII = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
# transport, severity and message stand in this order; 0xA0 is the empty text. (event.py)
_EMPTY_MESSAGE = rb"(?:syslog-udp|syslog-tcp|syslog-tls|snmp|http)[\x00-\x07]\xa0"


def must_hold(rule: Rule) -> frozenset[str] | None:
    """Literals, one of which the octets of every event that the rule matches hold.

    A rule with clear_match decides about the events that end its problem too.

    Returns:
        Casefolded ASCII; None when there is nothing that they must hold.
    """
    found: set[str] = set(oids_of(rule))
    has_pattern = bool(found)
    for text in (text_of(rule), rule.clear_match):
        if text is None:
            continue
        has_pattern = True
        literals = _of_text(text, rule.match_type)
        if literals is None:
            return _of_host(rule.host_pattern)
        found |= literals
    return frozenset(found) if has_pattern else _of_host(rule.host_pattern)


def _of_text(text: str, match_type: MatchType) -> frozenset[str] | None:
    if match_type is MatchType.OID_PREFIX:
        return frozenset({normalised_oid(text)})
    if match_type is MatchType.CONTAINS:
        return _whole({text.casefold()})
    usable = [whole for some in required_literals(text) if (whole := _whole(some)) is not None]
    return max(usable, key=lambda some: min(map(len, some)), default=None)


def _whole(literals: set[str] | frozenset[str]) -> frozenset[str] | None:
    """The longest part of each that stands in one text; None if one has none."""
    parts = set()
    for literal in literals:
        pieces = [
            piece.strip(" ") for run in _PRINTABLE.findall(literal) for piece in _SEAM.split(run)
        ]
        longest = max(pieces, key=len, default="")
        if len(longest) < _MIN_LITERAL:
            return None
        parts.add(longest)
    return frozenset(parts)


def _of_host(pattern: str | None) -> frozenset[str] | None:
    # An address has several forms, and stands for a network of them.
    if pattern is None or "/" in pattern or address_of(pattern) is not None:
        return None
    literals = glob_expression(pattern)[1] if is_glob(pattern) else [pattern]
    runs = [run for each in literals for run in _PRINTABLE.findall(each.casefold())]
    longest = max(runs, key=len, default="")
    return frozenset({longest}) if len(longest) >= _MIN_LITERAL else None


class Sieve:
    """Lets through what may match a rule.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        literals = must_hold(rule)
        self._database: hyperscan.Database | None = None
        if literals is not None:
            self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
            self._database.compile(
                expressions=[*(_escaped(each) for each in literals), _always_proposed()],
                flags=hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL,
            )

    def candidates(self, encoded: Sequence[bytes]) -> Sequence[int]:
        """The places of those that may match, rising."""
        if self._database is None:
            return range(len(encoded))
        ends = list(accumulate(map(len, encoded)))
        found: set[int] = set()
        # A match across a border only proposes one too many.
        self._database.scan(
            b"".join(encoded),
            match_event_handler=lambda _id, _from, to, *_: found.add(bisect_left(ends, to)),
        )
        return sorted(found)


def _escaped(literal: str) -> bytes:
    return b"".join(b"\\x%02x" % octet for octet in literal.encode())


def _always_proposed() -> bytes:
    letters = b"|".join(
        b"".join(b"\\x%02x" % octet for octet in each.encode()) for each in FOLDING_ONTO_ASCII
    )
    return letters + b"|" + _EMPTY_MESSAGE
