r"""The compiled rules: what turns an Event into a Decision, some microseconds apiece.

    texts  --literals, expressions-->  candidates  \\
    OID    --tree------------------->  candidates   > by rank: conditions, RE2  -->  Decision
    host, severity ----------------->  first rule without a pattern             /

A rank is a rule's place in (priority, id) order; what ends a rule's problem (clear_match) has a
rank of its own, right before the rule's. A candidate is rank * 2, plus 1 if its
expression still has to be confirmed; so that, sorted, what is certain comes first. A RuleSet never
changes: a new one is compiled (compile.py) and takes its place whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from muttd.decision import Decision, Environment
from muttd.event import Event
from muttd.rules.expression import Expression
from muttd.rules.hosts import HostIndex, HostMap, HostSet
from muttd.rules.model import ExpectedSource, Rule
from muttd.rules.needles import Needles
from muttd.rules.oid import OidTree
from muttd.rules.regex_set import RegexSet
from muttd.rules.stored import Outline
from muttd.rules.texts import folded, message_of, octets_of, texts_of

# Hosts seen are remembered, because names and addresses take longer to judge than everything
# else here. The bound is for senders who make names up.
MAX_HOSTS_REMEMBERED = 50_000

ENVIRONMENTS = (Environment.PROD, Environment.DEV)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to be asked.

    Attributes:
        rule: As it was written.
        pattern: The same; of a clear, with clear_match in the place of what the rule matches.
        expression: Of a regex rule.
        is_anchored: Whether the expression may depend on where a text begins.
        severities: Bit n is set when severity n satisfies the condition.
        host: Which host pattern must hold; None: any host.
        has_pattern: Whether it asks for a text or an OID, and not for conditions alone.
    """

    rule: Rule
    pattern: Rule
    expression: Expression | None
    is_anchored: bool
    severities: int
    host: int | None
    has_pattern: bool

    def is_confirmed(self, event: Event, texts: Iterable[str]) -> bool:
        """Whether the expression matches any of the texts."""
        search = self.expression.search  # type: ignore[union-attr]  # only regex rules are asked
        if any(search(octets_of(text)) is not None for text in texts):
            return True
        # The message ends the line, so that searching it alone can only help an anchor.
        return self.is_anchored and search(octets_of(message_of(event))) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one rule did on one event; it matches when all three hold."""

    compiled: CompiledRule
    pattern_holds: bool
    severity_holds: bool
    host_holds: bool

    @property
    def matches(self) -> bool:
        """Whether the rule matches."""
        return self.pattern_holds and self.severity_holds and self.host_holds


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the rules need to know about one host.

    Attributes:
        environment: Index into ENVIRONMENTS.
        patterns: Which host patterns hold.
        first: By severity, the rank of the first rule without a pattern that holds.
        expected: What is expected of it.
    """

    environment: int
    patterns: frozenset[int]
    first: tuple[int, ...]
    expected: ExpectedSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What compile_rules made of a rule book.

    Attributes:
        rules: By rank.
        needles: Candidates by literal.
        regex_set: Candidates by expression.
        always: Candidates that nothing narrows.
        oids: Candidates by OID prefix.
        host_patterns: Of all rules; a pattern's key is its place.
        first_by_host: (host pattern or None, by severity the first rank without a pattern).
        development_hosts, teams: Of the rule book.
        expected: Of the rule book; an entry's key is its place in expected_sources.
    """

    rules: tuple[CompiledRule, ...]
    needles: Needles
    regex_set: RegexSet
    always: frozenset[int]
    oids: OidTree
    host_patterns: HostIndex
    first_by_host: tuple[tuple[int | None, tuple[int, ...]], ...]
    development_hosts: HostSet
    teams: HostMap
    expected: HostIndex
    expected_sources: tuple[ExpectedSource, ...]


class RuleSet:
    """Compiled rules. Immutable but for what it remembers of hosts.

    Args:
        revision: Of the rule book it was compiled from.
        faults: (rule id, why it takes no part) for rules that could not be compiled.
        parts: What compile_rules made.
    """

    def __init__(self, revision: int, faults: Sequence[tuple[int, str]], parts: Parts) -> None:
        self.revision = revision
        self.faults = tuple(faults)
        self._parts = parts
        self._hosts: dict[tuple[str, str], HostFacts] = {}
        # Decisions are frozen, so every event that a rule wins shares one; the last is unmatched.
        self._decisions = tuple(
            (*(_won_by(c, where) for c in parts.rules), Decision(environment=where))
            for where in ENVIRONMENTS
        )

        self.compiled_rules = parts.rules
        self._by_id = {c.rule.id: c.rule for c in parts.rules}
        self._bare = frozenset(
            rank for rank, compiled in enumerate(parts.rules) if not compiled.has_pattern
        )

    def __len__(self) -> int:
        return sum(compiled.pattern is compiled.rule for compiled in self._parts.rules)

    def rule_of(self, rule_id: int) -> Rule | None:
        """A rule that takes part."""
        return self._by_id.get(rule_id)

    def decide_bare(self, event: Event | Outline) -> Decision:
        """The decision of an event that no rule with a pattern matches."""
        facts = self._facts(event.hostname, event.source_ip)
        return self._decisions[facts.environment][facts.first[event.severity]]

    def decide(self, event: Event) -> Decision:
        """The decision of the first rule, in (priority, id) order, that matches."""
        texts = texts_of(event)
        return self._decided(event, texts, self._candidates(event, texts))

    def decide_batch(self, events: Sequence[Event]) -> list[Decision]:
        """Decide each of a batch, in its order.

        Cost: a third of that of decide(), because their texts are searched together.
        """
        parts = self._parts
        texts = [texts_of(event) for event in events]
        of_ascii, owners = [], []
        candidates: dict[int, set[int]] = {}
        for place, of_event in enumerate(texts):
            for text in of_event:
                if text.isascii():
                    of_ascii.append(text)
                    owners.append(place)
                else:
                    parts.needles.add_keys_of(folded(text), candidates.setdefault(place, set()))
        for at, keys in parts.needles.find_in_ascii(of_ascii).items():
            candidates.setdefault(owners[at], set()).update(keys)
        is_every_one_asked = bool(parts.always or parts.regex_set)
        for place, event in enumerate(events):
            if is_every_one_asked:
                self._add_unnarrowed(event, texts[place], candidates.setdefault(place, set()))
            if event.trap_oid is not None:
                candidates.setdefault(place, set()).update(parts.oids.keys_of(event.trap_oid))
        return [
            self._decided(event, texts[place], candidates.get(place, ()))
            for place, event in enumerate(events)
        ]

    def _decided(
        self, event: Event, texts: tuple[str, ...], candidates: Collection[int]
    ) -> Decision:
        facts = self._hosts.get((event.hostname, event.source_ip)) or self._learn(
            event.hostname, event.source_ip
        )
        severity = event.severity
        first = facts.first[severity]
        for key in sorted(candidates) if candidates else ():
            rank = key >> 1
            if rank >= first:
                break
            rule = self._parts.rules[rank]
            if not rule.severities >> severity & 1 or (
                rule.host is not None and rule.host not in facts.patterns
            ):
                continue
            if key & 1 and not rule.is_confirmed(event, texts):
                continue
            first = rank
        return self._decisions[facts.environment][first]

    def matching(self, event: Event) -> list[Rule]:
        """Every rule that matches, or whose problem it ends, the winner first."""
        facts = self._hosts.get((event.hostname, event.source_ip)) or self._learn(
            event.hostname, event.source_ip
        )
        texts = texts_of(event)
        ranks = set(self._bare)
        for key in self._candidates(event, texts):
            rule = self._parts.rules[key >> 1]
            if not key & 1 or rule.is_confirmed(event, texts):
                ranks.add(key >> 1)
        found = [
            compiled.rule
            for compiled in map(self._parts.rules.__getitem__, sorted(ranks))
            if compiled.severities >> event.severity & 1
            and (compiled.host is None or compiled.host in facts.patterns)
        ]
        return list({rule.id: rule for rule in found}.values())

    def trials(self, event: Event) -> list[Trial]:
        """Every rule that the event comes near to, in order of precedence.

        Those are the rules with a pattern that may match it, and those without a pattern.
        """
        facts = self._facts(event.hostname, event.source_ip)
        texts = texts_of(event)
        certain: dict[int, bool] = dict.fromkeys(self._bare, True)
        for key in self._candidates(event, texts):
            rule = self._parts.rules[key >> 1]
            holds = not key & 1 or rule.is_confirmed(event, texts)
            certain[key >> 1] = certain.get(key >> 1, False) or holds
        return [
            Trial(
                compiled=(compiled := self._parts.rules[rank]),
                pattern_holds=certain[rank],
                severity_holds=bool(compiled.severities >> event.severity & 1),
                host_holds=compiled.host is None or compiled.host in facts.patterns,
            )
            for rank in sorted(certain)
        ]

    def team_for(self, event: Event) -> str | None:
        """The team of the event's host by device_teams, for events that no rule matches."""
        return self._parts.teams.team_of(event.hostname, event.source_ip)

    def environment_of(self, event: Event) -> Environment:
        """The environment of the event's host."""
        return ENVIRONMENTS[self._facts(event.hostname, event.source_ip).environment]

    @property
    def expected_sources(self) -> tuple[ExpectedSource, ...]:
        """Who is missed when he is silent."""
        return self._parts.expected_sources

    def expected_of(self, hostname: str, source_ip: str) -> ExpectedSource | None:
        """What is expected of a host."""
        return self._facts(hostname, source_ip).expected

    def _candidates(self, event: Event, texts: tuple[str, ...]) -> set[int]:
        parts = self._parts
        candidates: set[int] = set()
        for text in texts:
            parts.needles.add_keys_of(folded(text), candidates)
        self._add_unnarrowed(event, texts, candidates)
        if event.trap_oid is not None:
            candidates.update(parts.oids.keys_of(event.trap_oid))
        return candidates

    def _add_unnarrowed(self, event: Event, texts: tuple[str, ...], candidates: set[int]) -> None:
        """Add the rules whose expressions no literal narrows."""
        parts = self._parts
        candidates.update(parts.always)
        if parts.regex_set:
            if parts.regex_set.is_anchored:
                texts = (*texts, message_of(event))
            # One scan for all: its anchors hold at every line, and RE2 judges what it proposes.
            parts.regex_set.add_keys_of(octets_of("\n".join(texts)), candidates)

    def _facts(self, hostname: str, source_ip: str) -> HostFacts:
        return self._hosts.get((hostname, source_ip)) or self._learn(hostname, source_ip)

    def _learn(self, hostname: str, source_ip: str) -> HostFacts:
        parts = self._parts
        patterns = frozenset(parts.host_patterns.keys_of(hostname, source_ip))
        firsts = [ranks for host, ranks in parts.first_by_host if host is None or host in patterns]
        facts = HostFacts(
            environment=int(parts.development_hosts.has(hostname, source_ip)),
            patterns=patterns,
            first=tuple(map(min, *firsts)) if len(firsts) > 1 else firsts[0],
            expected=self._expected(hostname, source_ip),
        )
        if len(self._hosts) >= MAX_HOSTS_REMEMBERED:
            self._hosts.clear()
        self._hosts[hostname, source_ip] = facts
        return facts

    def _expected(self, hostname: str, source_ip: str) -> ExpectedSource | None:
        if not self._parts.expected_sources:
            return None
        index = self._parts.expected
        key = index.most_specific(index.keys_of(hostname, source_ip))
        return None if key is None else self._parts.expected_sources[key]


def _won_by(compiled: CompiledRule, environment: Environment) -> Decision:
    rule = compiled.rule
    is_dev = environment is Environment.DEV
    return Decision(
        environment=environment,
        rule_id=rule.id,
        rule_name=rule.name,
        rule_revision=rule.revision,
        handling=rule.dev_handling if is_dev else rule.prod_handling,
        team=rule.team_assignment,
        destination=rule.destination,
        repeat_interval_s=rule.repeat_interval_s,
        has_clear=rule.clear_match is not None,
        is_clear=compiled.pattern is not rule,
    )
