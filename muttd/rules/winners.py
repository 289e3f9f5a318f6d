"""Which rule decides each of very many events: the engine's answer, and mostly without asking it.

    encoded --Sieve: the literals of all rules--------.
    events  --TextSieve: expressions without literals--+--> proposed --> the engine
                                                        '-> the rest: rules without a pattern alone

Nothing is remembered of who decided an event when it came: rules are changed, put in another
order and taken back, and daemons that were cut off decide by old ones for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from muttd.rules.compile import oids_of, text_of
from muttd.rules.engine import RuleSet
from muttd.rules.model import MatchType, Rule
from muttd.rules.sieve import Sieve, must_hold, shared_literals
from muttd.rules.stored import StoredEvents
from muttd.rules.text_sieve import TextSieve

# To compile the sieves costs as much per rule as to ask the engine about so many events.
_WORTH_EVENTS_A_RULE = 20
# Where most are proposed the sieves are a burden: so many slices do without.
_SLICES_WITHOUT = 15


class _Sieves:
    """What proposes events for the rules that have a pattern.

    Attributes:
        is_blind: Some rule can match without being proposed.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self.has_bare = any(not each.has_pattern for each in rule_set.compiled_rules)
        rules = {each.rule.id: each.rule for each in rule_set.compiled_rules if each.has_pattern}
        shared = shared_literals(rules.values())
        literals: set[str] = set()
        expressions: list[str] = []
        self.is_blind = False
        for rule in rules.values():
            of_one = must_hold(rule, shared)
            if of_one is not None:
                literals |= of_one
            elif rule.match_type is MatchType.REGEX:
                literals.update(oids_of(rule))
                expressions += expressions_of(rule)
            else:
                self.is_blind = True
        self._octets = Sieve(frozenset(literals))
        self._texts = TextSieve(expressions) if expressions else None
        if self._texts is not None and self._texts.is_blind:
            self.is_blind = True

    def proposed(self, stored: StoredEvents) -> Sequence[int]:
        """The places of the events that a rule with a pattern may match, each once."""
        found = self._octets.candidates(stored.encoded)
        if self._texts is None:
            return found
        return list({*found, *self._texts.candidates(stored.events())})


def expressions_of(rule: Rule) -> list[str]:
    """What a regex rule searches texts for: what matches it, and what ends its problem."""
    return [text for text in (text_of(rule), rule.clear_match) if text is not None]


# Operators try one draft after the other, and the rules seldom change in between.
_sieves: WeakKeyDictionary[RuleSet, _Sieves] = WeakKeyDictionary()


class Winners:
    """Says who decides events.

    Args:
        rule_set: The rules in force.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._rule_set = rule_set
        self._asked = 0
        self._without = 0

    def of(self, stored: StoredEvents) -> list[int | None]:
        """The id of the rule that decides each, None: no rule does."""
        self._asked += len(stored)
        sieves = self._worthwhile()
        decide = self._rule_set.decide_batch
        if sieves is None:
            return [decision.rule_id for decision in decide(stored.events())]
        proposed = sieves.proposed(stored)
        if 2 * len(proposed) > len(stored):
            self._without = _SLICES_WITHOUT
        winners: list[int | None] = [None] * len(stored)
        if sieves.has_bare:
            decide_bare = self._rule_set.decide_bare
            winners = [decide_bare(outline).rule_id for outline in stored.outlines]
        for place, decision in zip(proposed, decide(stored.events_at(proposed)), strict=True):
            winners[place] = decision.rule_id
        return winners

    def _worthwhile(self) -> _Sieves | None:
        if self._without:
            self._without -= 1
            return None
        sieves = _sieves.get(self._rule_set)
        if sieves is None:
            if self._asked < _WORTH_EVENTS_A_RULE * len(self._rule_set):
                return None
            sieves = _sieves[self._rule_set] = _Sieves(self._rule_set)
        return None if sieves.is_blind else sieves
