"""Which destination an alert goes to: its rule's, else its team's, else the default one.

A rule may name a destination that is not configured, here or not yet: its alerts go where they
would go without it, and the status says so. No alert is lost for a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from muttd.decision import Alert, AlertState, Decision, encode_alerts
from muttd.queue.contract import Batch, alert_stream

# Names that rules mention; one that is misspelt again and again must not fill the memory.
_MAX_UNKNOWN = 100


@dataclass(frozen=True, slots=True)
class Routes:
    """What is configured.

    Attributes:
        default: Who gets what nobody else is named for; None: there is no destination at all.
        names: Every destination.
        teams: (glob of a team, destination), in the order of the file.
    """

    default: str | None = None
    names: frozenset[str] = frozenset()
    teams: tuple[tuple[str, str], ...] = ()

    def of_team(self, team: str) -> str | None:
        """Who gets a team's alerts: an exact name before a glob, then the first in the file."""
        folded = team.casefold()
        found = [name for glob, name in self.teams if glob.casefold() == folded]
        found += [name for glob, name in self.teams if fnmatchcase(folded, glob.casefold())]
        return found[0] if found else self.default


@dataclass(slots=True)
class Router:
    """Routes as they are now.

    Attributes:
        routes: Replaced whole when the configuration is read again.
        unknown: Destinations that rules name and that there are not.
    """

    routes: Routes = field(default_factory=Routes)
    unknown: set[str] = field(default_factory=set)

    @property
    def state(self) -> AlertState:
        """Of an alert that is raised now."""
        return AlertState.UNROUTED if self.routes.default is None else AlertState.QUEUED

    def replace(self, routes: Routes) -> None:
        """Put other routes in force."""
        self.routes = routes
        self.unknown -= routes.names

    def destination_of(self, decision: Decision) -> str | None:
        """Where this decision's alert goes; None: nowhere."""
        routes, wanted = self.routes, decision.destination
        if wanted is not None and routes.default is not None:
            if wanted in routes.names:
                return wanted
            if len(self.unknown) < _MAX_UNKNOWN:
                self.unknown.add(wanted)
        return routes.default if decision.team is None else routes.of_team(decision.team)

    def batches(self, alerts: Sequence[Alert]) -> list[tuple[str, Batch]]:
        """Alerts as batches for the streams of their destinations; order is kept in each."""
        by_destination: dict[str, list[Alert]] = {}
        for alert in alerts:
            destination = self.destination_of(alert.decision)
            if destination is not None:
                by_destination.setdefault(destination, []).append(alert)
        return [
            (alert_stream(destination), Batch(encode_alerts(group), len(group)))
            for destination, group in by_destination.items()
        ]
