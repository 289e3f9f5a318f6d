r"""Which encoded events may match a rule, without decoding them: one pass over thousands at once.

    rule --must_hold()--> literals --Hyperscan over the joined octets--> places of candidates

A stored event is MessagePack, in which every text stands as its own UTF-8. So whatever the engine
must find in one text of the event (engine.py), the octets hold as well; but what spans two of
them (app_name[procid]: message) they do not: a literal is cut where the engine puts them together.

It proposes too much and never misses. Letters that fold onto ASCII (the Kelvin sign is a k), and
an empty message, for which the engine lets structured data stand in, are proposed always. Of a
text without ASCII one character is looked for, in every form that folds onto it.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate

import hyperscan

from muttd.rules.compile import oids_of, text_of
from muttd.rules.hosts import address_of, glob_expression, is_glob
from muttd.rules.literals import required_literals
from muttd.rules.model import MatchType, Rule
from muttd.rules.oid import normalised_oid

# Shorter ones are in nearly every event; shorter than a good one, in many.
_MIN_LITERAL = 2
_GOOD_LITERAL = 4
_NONE_SHARED: Mapping[str, int] = {}
# What stands between app_name, procid and message, and around structured data.
_SEAM = re.compile(r"[\[\]:]+")
_PRINTABLE = re.compile(r"[ -~]+")

# Every character that is not ASCII and whose casefold() holds a letter that is. A test compares.
FOLDING_ONTO_ASCII = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
# No character from here on has another case. A test compares.
_END_OF_LETTERS = 0x20000
# transport, severity and message stand in this order; 0xA0 is the empty text. (event.py)
_EMPTY_MESSAGE = rb"(?:syslog-udp|syslog-tcp|syslog-tls|snmp|http)[\x00-\x07]\xa0"


def must_hold(rule: Rule, shared: Mapping[str, int] = _NONE_SHARED) -> frozenset[str] | None:
    """Literals, one of which the octets of every event that the rule matches hold.

    A rule with clear_match decides about the events that end its problem too.

    Args:
        rule: It.
        shared: How many rules may be told apart by a literal: of several, one that few share is
            taken, because words that many rules name are what many events say.

    Returns:
        Casefolded ASCII, or single characters beyond it; None when there is nothing that they
        must hold.
    """
    found: set[str] = set(oids_of(rule))
    has_pattern = bool(found)
    for text in (text_of(rule), rule.clear_match):
        if text is None:
            continue
        has_pattern = True
        choices = _of_text(text, rule.match_type)
        if not choices:
            return _of_host(rule.host_pattern)
        found |= max(choices, key=lambda some: _worth(some, shared))
    return frozenset(found) if has_pattern else _of_host(rule.host_pattern)


def shared_literals(rules: Iterable[Rule]) -> Counter[str]:
    """How many of these rules may be told apart by a literal."""
    return Counter(
        literal
        for rule in rules
        for text in (text_of(rule), rule.clear_match)
        if text is not None
        for literal in frozenset[str]().union(*_of_text(text, rule.match_type))
    )


def _worth(literals: Collection[str], shared: Mapping[str, int]) -> tuple[int, int, int]:
    shortest = min(map(len, literals))
    return min(shortest, _GOOD_LITERAL), -max(shared.get(one, 0) for one in literals), shortest


def _of_text(text: str, match_type: MatchType) -> list[frozenset[str]]:
    """One of each of these must be there."""
    if match_type is MatchType.OID_PREFIX:
        return [frozenset({normalised_oid(text)})]
    whole = match_type is MatchType.CONTAINS
    requirements = [frozenset({text.casefold()})] if whole else required_literals(text)
    choices = [part for some in requirements if (part := _whole(some)) is not None]
    if whole and not choices:
        # A surrogate is not printable, and has no octets.
        return [
            _folding_onto().get(each, frozenset()) | {each}
            for each in text.casefold()
            if each.isprintable() and not each.isascii()
        ]
    return choices


@cache
def _folding_onto() -> Mapping[str, frozenset[str]]:
    """By each character, those whose casefold() holds it and is not themselves."""
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for character in map(chr, range(0x80, _END_OF_LETTERS)):
        if (folded := character.casefold()) != character:
            for each in folded:
                found[each] |= {character}
    return dict(found)


def _whole(literals: frozenset[str]) -> frozenset[str] | None:
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
    """Lets through what may hold a literal.

    Args:
        literals: As must_hold() gives them; None: everything may be what is looked for.
    """

    def __init__(self, literals: frozenset[str] | None) -> None:
        self._database: hyperscan.Database | None = None
        # One scratch space per database: two threads must not scan with it at once.
        self._lock = threading.Lock()
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
        with self._lock:
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
