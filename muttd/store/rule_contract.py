"""What every store backend promises about rules and the lists of hosts: a part of Store.

Each change is in its table, in config_audit_log, and for a rule in rule_revisions, in ONE
transaction, which also raises the revision of the rule book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from muttd.rules.model import ExpectedSource, Rule, RuleBook, RuleDraft, RulePlan, TeamEntry

if TYPE_CHECKING:
    # The whole contract, which has this one as its part.
    from muttd.store.access import Change
    from muttd.store.contract import Page, RuleQuery, Window


class RuleRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it was, and who made it so."""

    revision: int
    changed_at: datetime
    changed_by: str
    rule: Rule


class RuleStore(Protocol):
    """Rules, development hosts, teams, expected sources."""

    async def rule_book(self) -> RuleBook:
        """What the engine is compiled from, read in one transaction."""
        ...

    async def rule_book_revision(self) -> int:
        """The revision alone; cheap enough to ask every second."""
        ...

    async def search_rules(self, query: RuleQuery, window: Window) -> Page[Rule]:
        """Rules, in (priority, id) order."""
        ...

    async def get_rule(self, rule_id: int) -> Rule | None:
        """One rule that is not deleted."""
        ...

    async def create_rule(self, draft: RuleDraft, change: Change) -> Rule:
        """Add a rule."""
        ...

    async def update_rule(self, rule_id: int, draft: RuleDraft, change: Change) -> Rule:
        """Replace a rule; its revision rises by one. Raises NoSuchRecord."""
        ...

    async def delete_rule(self, rule_id: int, change: Change) -> None:
        """Delete a rule softly: audit rows keep its id and revision. Raises NoSuchRecord."""
        ...

    async def restore_rule(self, rule_id: int, revision: int, change: Change) -> Rule:
        """Make a rule what it was at a revision, which is a change like any other.

        A deleted rule comes back with the number that it had. Raises NoSuchRecord.
        """
        ...

    async def rule_revisions(self, rule_id: int, window: Window) -> Page[RuleRevision]:
        """A rule as it ever was, newest first; of a deleted rule too."""
        ...

    async def rule_at(self, rule_id: int, revision: int) -> Rule | None:
        """A rule as it was at that revision."""
        ...

    async def all_rules(self) -> list[Rule]:
        """Every rule that is not deleted, in (priority, id) order."""
        ...

    async def rewrite_rules(
        self, plan: Callable[[Sequence[Rule]], RulePlan], change: Change
    ) -> RulePlan:
        """Change many rules in one transaction.

        Args:
            plan: Given every rule that is not deleted, in (priority, id) order, it says what to
                do; what it raises leaves everything as it is. It may be asked more than once.
            change: Who and why, of each of the changes.

        Returns:
            What was done.
        """
        ...

    async def development_hosts(self) -> list[str]:
        """Entries of development_hosts, sorted."""
        ...

    async def add_development_host(self, hostname: str, change: Change) -> None:
        """Add an entry; case-insensitive. Raises DuplicateRecord."""
        ...

    async def remove_development_host(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        ...

    async def device_teams(self) -> list[TeamEntry]:
        """Entries of device_teams, sorted by hostname."""
        ...

    async def add_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        ...

    async def update_device_team(self, entry: TeamEntry, change: Change) -> None:
        """Change an entry's team. Raises NoSuchRecord."""
        ...

    async def remove_device_team(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        ...

    async def expected_sources(self) -> list[ExpectedSource]:
        """Entries of expected_sources, sorted by hostname."""
        ...

    async def add_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Add an entry. Raises DuplicateRecord."""
        ...

    async def update_expected_source(self, entry: ExpectedSource, change: Change) -> None:
        """Replace what an entry says. Raises NoSuchRecord."""
        ...

    async def remove_expected_source(self, hostname: str, change: Change) -> None:
        """Remove an entry. Raises NoSuchRecord."""
        ...
