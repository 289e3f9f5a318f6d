r"""From a rule book to a RuleSet. Takes the processor for some time: run it in a thread.

    contains      its text                            \\
    regex         a literal that its matches hold      > needles: one pass for all
                  none, or one that many share        -> regex set, one pass; or tried one by one
    OID           tree
    no pattern    by host pattern and severity, the first rank

A rule that cannot be compiled (written by another version, or by hand into the store) takes no
part and is reported; the others do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from muttd.event import SEVERITY_NAMES
from muttd.rules.engine import CompiledRule, Parts, RuleSet
from muttd.rules.expression import compiled
from muttd.rules.hosts import HostIndex, HostMap, HostSet, check_host_entry
from muttd.rules.literals import required_literals, worth
from muttd.rules.model import ExpectedSource, MatchType, Rule, RuleBook, SeverityOp, TeamEntry
from muttd.rules.needles import Needles
from muttd.rules.oid import OidTree, normalised_oid
from muttd.rules.regex_set import RegexSet

# Shorter literals are in nearly every message.
_MIN_LITERAL = 3
# As many expressions may hang on one literal. Each costs a microsecond whenever the literal
# turns up; the regex set costs that once per event, however many it holds.
_MAX_CROWD = 8

_SEVERITIES = range(len(SEVERITY_NAMES))
_ALL_SEVERITIES = (1 << len(SEVERITY_NAMES)) - 1


def compile_rules(book: RuleBook) -> RuleSet:
    """Compile a rule book. Never raises for what a book holds: see RuleSet.faults.

    Cost: about 40 us a rule the first time, 15 us again; 1 ms for each expression that goes into
    the regex set. The GIL is free during the latter.
    """
    faults: list[tuple[int, str]] = []
    hosts: dict[str, int] = {}
    rules: list[CompiledRule] = []
    for rule in sorted(book.rules, key=lambda rule: (rule.priority, rule.id)):
        if rule.is_active:
            try:
                rules += compiled_rules_of(rule, hosts)
            except ValueError as exc:
                faults.append((rule.id, str(exc)))
    pairs, regexes = _text_patterns(rules)
    chosen, crowded = _choose_literals(regexes)
    regex_set = RegexSet(crowded)
    expected = tuple(_usable_sources(book.expected_sources))
    parts = Parts(
        rules=tuple(rules),
        needles=Needles(pairs + chosen),
        regex_set=regex_set,
        always=frozenset(regex_set.left_out),
        oids=_oid_tree(rules),
        host_patterns=HostIndex(list(hosts)),
        first_by_host=_first_by_host(rules),
        development_hosts=HostSet(_usable(book.development_hosts)),
        teams=HostMap(_usable_teams(book.device_teams)),
        expected=HostIndex([each.hostname for each in expected]),
        expected_sources=expected,
    )
    return RuleSet(book.revision, faults, parts)


def compiled_rules_of(rule: Rule, hosts: dict[str, int]) -> list[CompiledRule]:
    """The rule, and before it what ends its problems, if anything does.

    Args:
        rule: As it was written.
        hosts: Host patterns by their normal form, to which the rule's is added.

    Raises:
        ValueError: It cannot be compiled.
    """
    compiled = [_compiled_rule(rule, rule, hosts)]
    if rule.clear_match is not None:
        # Before the rule: what ends a problem may say more than what matches it, as in "link"
        # and "link up". Its severity is another one than the problem's.
        is_oid = rule.match_type is MatchType.OID_PREFIX
        clear = msgspec.structs.replace(
            rule,
            match_string=None if is_oid else rule.clear_match,
            trap_oid=rule.clear_match if is_oid else None,
            syslog_severity=None,
        )
        compiled.insert(0, _compiled_rule(rule, clear, hosts))
    return compiled


def _compiled_rule(written: Rule, rule: Rule, hosts: dict[str, int]) -> CompiledRule:
    expression, is_anchored = None, False
    if rule.match_type is MatchType.REGEX and rule.match_string is not None:
        expression = compiled(rule.match_string)
        is_anchored = "^" in rule.match_string or "\\A" in rule.match_string
    oids = oids_of(rule)
    host = None
    if rule.host_pattern is not None:
        entry = check_host_entry(rule.host_pattern).casefold()
        host = hosts.setdefault(entry, len(hosts))
    return CompiledRule(
        rule=written,
        pattern=rule,
        expression=expression,
        is_anchored=is_anchored,
        severities=_severities(rule),
        host=host,
        has_pattern=bool(oids) or text_of(rule) is not None,
    )


def text_of(rule: Rule) -> str | None:
    """The rule's text pattern, if it has one."""
    return None if rule.match_type is MatchType.OID_PREFIX else rule.match_string


def oids_of(rule: Rule) -> list[str]:
    """The rule's OID patterns in their normal form. Raises ValueError."""
    written = [rule.trap_oid]
    if rule.match_type is MatchType.OID_PREFIX:
        written.append(rule.match_string)
    return [normalised_oid(oid) for oid in written if oid is not None]


def _severities(rule: Rule) -> int:
    severity = rule.syslog_severity
    if severity is None:
        return _ALL_SEVERITIES
    # At least as severe is numerically at most (RFC 5424, 6.2.1).
    return (2 << severity) - 1 if rule.severity_op is SeverityOp.AT_LEAST else 1 << severity


def _text_patterns(
    rules: Iterable[CompiledRule],
) -> tuple[list[tuple[str, int]], dict[int, str]]:
    pairs: list[tuple[str, int]] = []
    regexes: dict[int, str] = {}
    for rank, item in enumerate(rules):
        text = text_of(item.pattern)
        if item.expression is not None and text is not None:
            regexes[rank << 1 | 1] = text
        elif text is not None:
            pairs.append((text.casefold(), rank << 1))
    return pairs, regexes


def _choose_literals(
    regexes: Mapping[int, str],
) -> tuple[list[tuple[str, int]], dict[int, str]]:
    """A literal for each expression, where there is one that few others hang on."""
    requirements = {
        key: [
            alternatives
            for alternatives in required_literals(pattern)
            if worth(alternatives)[0] >= _MIN_LITERAL
        ]
        for key, pattern in regexes.items()
    }
    shared = Counter(
        literal for of_one in requirements.values() for literal in frozenset[str]().union(*of_one)
    )
    best = {
        key: min(of_one, key=lambda some: (max(shared[one] for one in some), -worth(some)[0]))
        for key, of_one in requirements.items()
        if of_one
    }
    load = Counter(literal for alternatives in best.values() for literal in alternatives)
    chosen = {
        key: alternatives
        for key, alternatives in best.items()
        if all(load[literal] <= _MAX_CROWD for literal in alternatives)
    }
    crowded = {key: pattern for key, pattern in regexes.items() if key not in chosen}
    return [(one, key) for key, alternatives in chosen.items() for one in alternatives], crowded


def _oid_tree(rules: Iterable[CompiledRule]) -> OidTree:
    tree = OidTree()
    for rank, item in enumerate(rules):
        for oid in oids_of(item.pattern):
            tree.add(oid, rank << 1)
    return tree


def _first_by_host(
    rules: list[CompiledRule],
) -> tuple[tuple[int | None, tuple[int, ...]], ...]:
    none = len(rules)
    firsts: dict[int | None, list[int]] = {None: [none for _ in _SEVERITIES]}
    for rank, item in enumerate(rules):
        if not item.has_pattern:
            of_host = firsts.setdefault(item.host, [none for _ in _SEVERITIES])
            for severity in _SEVERITIES:
                if item.severities >> severity & 1:
                    of_host[severity] = min(of_host[severity], rank)
    return tuple((host, tuple(ranks)) for host, ranks in firsts.items())


def _usable(entries: Iterable[str]) -> list[str]:
    return [normal for entry in entries if (normal := _normal_entry(entry)) is not None]


def _usable_teams(entries: Iterable[TeamEntry]) -> list[TeamEntry]:
    return [
        TeamEntry(hostname=normal, team_assignment=entry.team_assignment)
        for entry in entries
        if (normal := _normal_entry(entry.hostname)) is not None
    ]


def _usable_sources(entries: Iterable[ExpectedSource]) -> list[ExpectedSource]:
    return [
        msgspec.structs.replace(entry, hostname=normal)
        for entry in entries
        if (normal := _normal_entry(entry.hostname)) is not None
    ]


def _normal_entry(entry: str) -> str | None:
    try:
        return check_host_entry(entry)
    except ValueError:
        return None


EMPTY = compile_rules(RuleBook(revision=0))
