"""Silent sources: a host of which something is expected and nothing was heard for too long.

    ledger: hosts heard --quiet for longer than expect_every_s--> silent --heard again--> back

One daemon watches for all. What counts is the time of receipt of what was decided: while events
wait in the queue, time stands still at the oldest of them. Whoever was down cannot know who was
silent meanwhile: after a gap in the watching every host has its whole time again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from muttd.event import utc_now
from muttd.queue.contract import Queue, Stream
from muttd.queue.ledger import Fallen, Watch, to_microseconds
from muttd.rules.engine import RuleSet
from muttd.rules.hosts import address_of, is_glob
from muttd.rules.model import ExpectedSource

# Watching happens so often at most, and so many times in the shortest time that is expected.
_WATCH_EVERY_US = 1_000_000
_LOOKS = 10
_LONGEST_PAUSE_US = 10_000_000
# Nobody watched: well over the longest pause, and over a restart that nobody would notice.
_GAP_US = 60_000_000

_log = logging.getLogger(__name__)


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert says of a silent host.

    Attributes:
        hostname, source_ip: Of the host; source_ip is empty for one that was never heard.
        entry: The line of expected_sources that names it.
        expect_every_s: What was expected.
        team_assignment, severity: Of the alert.
        last_us: When it was heard last, or began to be expected.
    """

    hostname: str
    source_ip: str
    entry: str
    expect_every_s: int
    team_assignment: str | None
    severity: int
    last_us: int


class SilenceWatch:
    """Watches for all daemons, or lets another one watch.

    Args:
        queue: Whose ledger knows who was heard.
        watcher: This daemon's name.
        clock: The time now.
    """

    def __init__(self, queue: Queue, watcher: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._queue = queue
        self._watcher = watcher
        self._clock = clock
        self._next_us = 0
        self._adopted_revision: int | None = None

    async def look(self, rule_set: RuleSet) -> None:
        """Look, if it is time to."""
        every = [source.expect_every_s for source in rule_set.expected_sources]
        now_us = to_microseconds(self._clock())
        # A clock that was set back must not end the watching.
        if 0 < self._next_us - now_us <= _LONGEST_PAUSE_US:
            return
        pause_us = min(every, default=0) * 1_000_000 // _LOOKS or _LONGEST_PAUSE_US
        self._next_us = now_us + min(max(pause_us, _WATCH_EVERY_US), _LONGEST_PAUSE_US)
        known_us = await self._known_until_us(now_us)
        is_changed = self._adopted_revision != rule_set.revision
        watch = await self._queue.ledger.watch(
            self._watcher,
            now_us=known_us,
            gap_us=_GAP_US,
            quiet_before_us=known_us - min(every, default=0) * 1_000_000,
            adopt=_exact_hosts(rule_set) if is_changed else [],
        )
        if watch is None:
            # When it is our turn, others may have adopted less than we would.
            self._adopted_revision = None
            return
        self._adopted_revision = rule_set.revision
        await self._compare(watch, rule_set, known_us)

    async def _known_until_us(self, now_us: int) -> int:
        """Until when everything that was received is decided."""
        depth = await self._queue.depth(Stream.INGEST)
        return now_us if depth.oldest_at is None else min(now_us, to_microseconds(depth.oldest_at))

    async def _compare(self, watch: Watch, rule_set: RuleSet, known_us: int) -> None:
        fallen, forgotten = [], []
        for host, source_ip, last_us in watch.quiet:
            expected = rule_set.expected_of(host, source_ip)
            if expected is None:
                forgotten.append(host)
            elif known_us - max(last_us, watch.since_us) > expected.expect_every_s * 1_000_000:
                fallen.append(_fallen(host, source_ip, last_us, expected, known_us))
        back = []
        for silent in watch.silent:
            missed = msgspec.json.decode(silent.about, type=Missed)
            is_expected = rule_set.expected_of(silent.host, missed.source_ip) is not None
            if silent.last_us is not None or not is_expected:
                back.append(silent.host)
        if fallen:
            _log.warning("silent sources: %d more, %s first", len(fallen), fallen[0].host)
            await self._queue.ledger.fall_silent(fallen)
        if back or forgotten:
            await self._queue.ledger.end_silence(back, now_us=known_us, forget=forgotten)


def _exact_hosts(rule_set: RuleSet) -> list[str]:
    # Of an address it is not known by what name its host will be heard.
    return [
        source.hostname.casefold()
        for source in rule_set.expected_sources
        if not is_glob(source.hostname)
        and "/" not in source.hostname
        and address_of(source.hostname) is None
    ]


def _fallen(
    host: str, source_ip: str, last_us: int, expected: ExpectedSource, known_us: int
) -> Fallen:
    missed = Missed(
        hostname=host,
        source_ip=source_ip,
        entry=expected.hostname,
        expect_every_s=expected.expect_every_s,
        team_assignment=expected.team_assignment,
        severity=expected.severity,
        last_us=last_us,
    )
    about = msgspec.json.encode(missed).decode()
    return Fallen(host, last_us, known_us, expected.expect_every_s * 1_000_000, about)
