"""One rule, asked about events one by one: what a dry run does a million times.

The engine finds the few of ten thousand rules that may match, which costs more than to ask a single
one. Both come to the same; tests/rules/test_lone.py holds them to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muttd.event import Event
from muttd.rules.compile import compiled_rules_of, oids_of, text_of
from muttd.rules.engine import CompiledRule
from muttd.rules.hosts import HostIndex
from muttd.rules.model import Rule
from muttd.rules.oid import OidTree
from muttd.rules.stored import Outline
from muttd.rules.texts import folded, texts_of

# Hosts whose answer is remembered; then it begins anew.
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What matches the rule, or ends its problem.

    Attributes:
        compiled: As the engine has it.
        needle: Casefolded text to be contained; None: none.
        oids: OID prefixes; None: none.
    """

    compiled: CompiledRule
    needle: str | None
    oids: OidTree | None

    def holds(self, event: Event) -> bool:
        if not self.compiled.has_pattern:
            return True
        if (
            self.oids is not None
            and event.trap_oid is not None
            and self.oids.keys_of(event.trap_oid)
        ):
            return True
        if self.needle is not None:
            needle = self.needle
            return any(needle in folded(text) for text in texts_of(event))
        return self.compiled.expression is not None and self.compiled.is_confirmed(
            event, texts_of(event)
        )


class LoneRule:
    """A rule, compiled.

    Args:
        rule: It; taken for active.

    Raises:
        ValueError: It cannot be compiled.
    """

    def __init__(self, rule: Rule) -> None:
        hosts: dict[str, int] = {}
        self._patterns = [_pattern(each) for each in compiled_rules_of(rule, hosts)]
        self._hosts = HostIndex(list(hosts)) if hosts else None
        self._known_hosts: dict[tuple[str, str], bool] = {}

    def places(self, events: Sequence[Event]) -> list[int]:
        """Which of them it matches, rising."""
        matches = self.matches
        return [n for n, event in enumerate(events) if matches(event)]

    @property
    def is_bare(self) -> bool:
        """Whether it looks at severity and host alone."""
        return not any(pattern.compiled.has_pattern for pattern in self._patterns)

    def bare_places(self, outlines: Sequence[Event | Outline]) -> list[int]:
        """The same of a bare rule."""
        severities, hosts = self._patterns[0].compiled.severities, self._hosts
        places = [n for n, each in enumerate(outlines) if severities >> each.severity & 1]
        if hosts is None:
            return places
        return [place for place in places if self._names_host(hosts, outlines[place])]

    def matches(self, event: Event) -> bool:
        """Whether the rule matches the event, or the event ends its problem."""
        # A host is remembered: that costs less than to look at a text.
        if self._hosts is not None and not self._names_host(self._hosts, event):
            return False
        severity = event.severity
        for pattern in self._patterns:
            if pattern.compiled.severities >> severity & 1 and pattern.holds(event):
                return True
        return False

    def _names_host(self, hosts: HostIndex, event: Event | Outline) -> bool:
        host = (event.hostname, event.source_ip)
        known = self._known_hosts.get(host)
        if known is None:
            if len(self._known_hosts) >= _MAX_REMEMBERED:
                self._known_hosts.clear()
            known = self._known_hosts[host] = bool(hosts.keys_of(*host))
        return known


def _pattern(compiled: CompiledRule) -> _Pattern:
    text = None if compiled.expression is not None else text_of(compiled.pattern)
    tree = OidTree()
    oids = oids_of(compiled.pattern)
    for oid in oids:
        tree.add(oid, 0)
    return _Pattern(
        compiled=compiled,
        needle=None if text is None else text.casefold(),
        oids=tree if oids else None,
    )
