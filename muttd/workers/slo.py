"""Service levels of each component: what share of its work it did well, against a target.

availability = good / total over the last 24 hours (or since the start)
burn rate    = (1 - availability over the last hour) / (1 - target)     1: just affordable
budget left  = 1 - (1 - availability) / (1 - target)                    below 0: overspent

intake      messages not lost between the wire and the queue
rules       events decided, and not given up on
delivery    alerts delivered, and not given up on
queue       moments at which it answered        store       the same
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import trio

from muttd.accounts import LISTENERS, Accounts
from muttd.workers.alerter import Alerter
from muttd.workers.forwarder import Forwarder
from muttd.workers.probe import Probe

SAMPLE_INTERVAL_S = 60.0
_DAY_S = 86_400.0
_HOUR_S = 3600.0

# Component -> (what it did well, all that it did) since the start.
Counts = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    counts: Counts


class ServiceLevels:
    """Samples of the counts, a day of them.

    Args:
        counts: What intake, rules and delivery did, now.
        probes: Queue and store, asked with every sample.
        target: The share of its work that a component should do well, below 1.
    """

    def __init__(
        self,
        counts: Callable[[], Counts],
        probes: Mapping[str, Probe],
        target: Callable[[], float],
    ) -> None:
        self._work = counts
        self._probes = probes
        self._target = target
        self._answers = dict.fromkeys(probes, (0, 0))
        self._samples: deque[_Sample] = deque(maxlen=int(_DAY_S / SAMPLE_INTERVAL_S) + 1)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            for name, probe in self._probes.items():
                good, total = self._answers[name]
                self._answers[name] = (good + (await probe.ask())["ok"], total + 1)
            self._samples.append(_Sample(trio.current_time(), self._counts()))
            await trio.sleep(SAMPLE_INTERVAL_S)

    def document(self) -> dict[str, Any]:
        """Every component, for GET /api/v2/slo."""
        now, counts, target = trio.current_time(), self._counts(), self._target()
        return {
            "target": target,
            "window_s": _DAY_S,
            "components": [
                self._component(name, latest, now, target) for name, latest in counts.items()
            ],
        }

    def _counts(self) -> Counts:
        return {**self._work(), **self._answers}

    def _component(
        self, name: str, latest: tuple[int, int], now: float, target: float
    ) -> dict[str, Any]:
        bad, total = self._since(name, latest, now - _DAY_S)
        bad_1h, total_1h = self._since(name, latest, now - _HOUR_S)
        share = bad / total if total else 0.0
        share_1h = bad_1h / total_1h if total_1h else 0.0
        return {
            "component": name,
            # Nothing to do is nothing done badly.
            "availability": round(1 - share, 6),
            "burn_rate_1h": round(share_1h / (1 - target), 3),
            "budget_left": round(1 - share / (1 - target), 3),
            "good": total - bad,
            "total": total,
        }

    def _since(self, name: str, latest: tuple[int, int], moment: float) -> tuple[int, int]:
        """How much was done badly, and in all, since then or as far back as is known."""
        first = next((each.counts[name] for each in self._samples if each.at >= moment), latest)
        good, total = latest[0] - first[0], latest[1] - first[1]
        return max(0, total - good), max(0, total)


def counts_of(
    accounts: Accounts, alerter: Alerter, forwarders: Callable[[], Iterable[Forwarder]]
) -> Counts:
    """What intake, rules and delivery did since the start."""
    lost = queued = 0
    for name in LISTENERS:
        account = accounts[name]
        lost += account.dropped + account.kernel_dropped + account.refused["queue"]
        queued += account.queued
    done = alerter.tally()
    decided = done["matched"] + done["unmatched"]
    sent = [forwarder.tally() for forwarder in forwarders()]
    delivered = sum(each["delivered"] for each in sent)
    dead = sum(each["dead"] for each in sent)
    return {
        "intake": (queued, queued + lost),
        "rules": (decided, decided + done["buried"]),
        "delivery": (delivered, delivered + dead),
    }
