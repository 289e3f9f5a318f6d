"""From the fan-out to the frames of every viewer, on a 20 ms tick.

    Fanout --one subscription--> tick --per filter--> [ channel ] --one frame, shared--> viewers
                                  |
                                  +-- an event becomes JSON once, for whoever shows it

Viewers with the same filter share a channel. Nothing here waits for a viewer: what its buffer
cannot hold is missed, and counted for it. Under flood a channel shows one event in n, and says so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from muttd.decision import Decided, Decision
from muttd.event import Event, event_as_json, iso_utc, utc_now
from muttd.queue.fanout import Fanout, LiveBatch, Received, Subscription
from muttd.web.live_filter import EVERYTHING, LiveFilter, Matcher
from muttd.web.responses import decision_as_json

TICK_S = 0.02
STATS_S = 1.0

# What a person and a browser can follow.
SHOWN_PER_S = 400
# A quiet feed may show a second's worth at once: a reboot of one device is not a flood.
_BURST_EVENTS = SHOWN_PER_S
_TICK_EVENTS = round(SHOWN_PER_S * TICK_S)

# Longest frame of events: one tick of large events must not fill every buffer.
_FRAME_OCTETS = 262_144
# Frames that wait for one viewer: some seconds of flood.
BUFFER_OCTETS = 4_194_304

# Events sent without a decision that we still wait for, per channel: five seconds of flood.
_MAX_PENDING = 2000

_UNDECIDED: dict[str, Any] = dict.fromkeys(
    (
        *("matched", "rule_id", "rule_name", "rule_revision", "handling", "environment", "team"),
        *("is_clear", "held_by"),
    )
)


@dataclass(frozen=True, slots=True)
class LiveMetrics:
    """Counters of the live feed."""

    viewers: Gauge
    shown: Counter
    missed: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry) -> LiveMetrics:
        """Declare them on a registry."""
        return cls(
            viewers=Gauge("muttd_live_viewers", "Live viewers connected now.", registry=registry),
            shown=Counter(
                "muttd_live_shown_total",
                "Events put into the buffers of live viewers, counted for each.",
                registry=registry,
            ),
            missed=Counter(
                "muttd_live_missed_total",
                "Events that live viewers missed because they, or the feed, lagged behind.",
                registry=registry,
            ),
        )


def text_frame(document: object) -> bytes:
    """A JSON text as one unmasked websocket frame (RFC 6455, 5.2).

    FIN 1 | RSV 000 | opcode 0001 || mask 0 | length 7, or 126 + 16, or 127 + 64 || text
    """
    text = msgspec.json.encode(document)
    length = len(text)
    if length < 126:
        return bytes((0x81, length)) + text
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + text
    return b"\x81\x7f" + length.to_bytes(8, "big") + text


class Viewer:
    """What waits to be sent to one viewer.

    Args:
        missed_total: Counts what all viewers missed.
        max_octets: Most octets that may wait.

    Attributes:
        is_paused: Nothing is sent; decisions of what it has seen are kept for it meanwhile.
        missed: Events it did not get because it did not keep up.
    """

    def __init__(self, missed_total: Counter, *, max_octets: int = BUFFER_OCTETS) -> None:
        self.is_paused = False
        self.missed = 0
        self._missed_total = missed_total
        self._frames: deque[bytes] = deque()
        self._octets = 0
        self._max_octets = max_octets
        self._arrived = trio.Event()

    def offer(self, frame: bytes, *, event_count: int = 0) -> bool:
        """Hand a frame over, or count its events as missed. Never waits."""
        if self._octets + len(frame) > self._max_octets:
            self.miss(event_count)
            return False
        self._frames.append(frame)
        self._octets += len(frame)
        self._wake()
        return True

    def miss(self, count: int) -> None:
        """Count events that it does not get because somebody did not keep up."""
        self.missed += count
        self._missed_total.inc(count)

    def forget(self) -> None:
        """Send nothing of what waits."""
        self._frames.clear()
        self._octets = 0

    def pause(self) -> None:
        """Send nothing until resume()."""
        self.is_paused = True

    def resume(self) -> None:
        """Send again, what was kept first."""
        self.is_paused = False
        self._wake()

    def _wake(self) -> None:
        if self._frames and not self.is_paused:
            self._arrived.set()

    async def wait_frames(self) -> bytes:
        """Wait until something may be sent, and take all of it."""
        while not self._frames or self.is_paused:
            self._arrived = trio.Event()
            await self._arrived.wait()
        frames = b"".join(self._frames)
        self._frames.clear()
        self._octets = 0
        return frames


class _Tick:
    """What came since the last tick; turns each event into JSON at most once."""

    def __init__(self, batches: Sequence[LiveBatch], late: dict[str, Decision]) -> None:
        self.received: list[Event] = []
        self.decided: list[Decided] = []
        for batch in batches:
            if isinstance(batch, Received):
                self.received += batch.events
            else:
                self.decided += batch.decided
        self.decisions = {each.event.event_id: each.decision for each in self.decided}
        # A decision may overtake its event by a tick: they are published by two tasks.
        self._late = late
        self._json: dict[str, msgspec.Raw] = {}

    def decision_of(self, event: Event) -> Decision | None:
        """Its decision, if that came in this tick or the one before."""
        return self.decisions.get(event.event_id) or self._late.get(event.event_id)

    def json_of(self, event: Event, decision: Decision | None) -> msgspec.Raw:
        """The event as the page shows it."""
        text = self._json.get(event.event_id)
        if text is None:
            decided = _UNDECIDED if decision is None else decision_as_json(decision)
            document = event_as_json(event) | decided | {"pending": decision is None}
            text = self._json[event.event_id] = msgspec.Raw(msgspec.json.encode(document))
        return text


class _Channel:
    """All viewers with one filter."""

    def __init__(self, wanted: LiveFilter, now: float) -> None:
        self.viewers: set[Viewer] = set()
        self.shown = 0
        self._needs_decision = wanted.needs_decision
        self._matcher = Matcher(wanted)
        self._budget = float(_BURST_EVENTS)
        self._budget_at = now
        self._skip = 0
        # Ids of events that were sent without a decision, oldest first.
        self._pending: dict[str, None] = {}

    def show(self, tick: _Tick, now: float) -> int:
        """Offer the frames of one tick to the viewers; returns how many events they got."""
        shown, sampled = self._sample(self._matching(tick), now)
        count = self._offer_events(tick, shown, sampled) if shown else 0
        if self._pending and tick.decided:
            self._offer_decisions(tick)
        return count

    def _matching(self, tick: _Tick) -> Sequence[Event]:
        shows = self._matcher.shows
        if self._needs_decision:
            return [each.event for each in tick.decided if shows(each.event, each.decision)]
        if self._matcher.is_everything:
            return tick.received
        return [event for event in tick.received if shows(event, None)]

    def _sample(self, matching: Sequence[Event], now: float) -> tuple[Sequence[Event], int]:
        """One in n of them: (those, n). n is 1 unless there are more than anybody can follow."""
        earned = max(now - self._budget_at, 0.0) * SHOWN_PER_S
        self._budget = min(self._budget + earned, float(_BURST_EVENTS))
        self._budget_at = now
        if len(matching) <= self._budget:
            self._budget -= len(matching)
            self._skip = 0
            return matching, 1
        sampled = math.ceil(len(matching) / max(self._budget, _TICK_EVENTS))
        # Counted on over ticks: one in n stays one in n when a tick brings fewer than n.
        start = self._skip % sampled
        shown = matching[start::sampled]
        self._skip = (start - len(matching)) % sampled
        self._budget = max(self._budget - len(shown), 0.0)
        return shown, sampled

    def _offer_events(self, tick: _Tick, shown: Sequence[Event], sampled: int) -> int:
        texts: list[msgspec.Raw] = []
        octets = 0
        for event in shown:
            decision = tick.decision_of(event)
            text = tick.json_of(event, decision)
            octets += len(bytes(text))
            if texts and octets > _FRAME_OCTETS:
                break
            texts.append(text)
            if decision is None:
                self._pending[event.event_id] = None
        while len(self._pending) > _MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self.shown += len(texts)
        frame = text_frame({"type": "events", "events": texts, "sampled": sampled})
        count = 0
        for viewer in self.viewers:
            if not viewer.is_paused:
                viewer.miss(len(shown) - len(texts))
                count += len(texts) * viewer.offer(frame, event_count=len(texts))
        return count

    def _offer_decisions(self, tick: _Tick) -> None:
        found = [each for each in tick.decided if each.event.event_id in self._pending]
        if not found:
            return
        documents = []
        for each in found:
            self._pending.pop(each.event.event_id, None)
            documents.append({"event_id": each.event.event_id} | decision_as_json(each.decision))
        frame = text_frame({"type": "decisions", "decisions": documents})
        for viewer in self.viewers:
            viewer.offer(frame)


class LiveFeed:
    """Serves every viewer from one subscription.

    Args:
        fanout: What is shown.
        metrics: What is counted.
    """

    def __init__(self, fanout: Fanout, metrics: LiveMetrics) -> None:
        self._fanout = fanout
        self._metrics = metrics
        self._channels: dict[LiveFilter, _Channel] = {}
        self._filters: dict[Viewer, LiveFilter] = {}
        self._joined = trio.Event()
        self._late: dict[str, Decision] = {}
        self._received = 0

    @property
    def viewer_count(self) -> int:
        """How many viewers there are."""
        return len(self._filters)

    def join(self, viewer: Viewer, wanted: LiveFilter = EVERYTHING) -> None:
        """Show a viewer what it wants from now on; again, to change what it wants."""
        self.leave(viewer)
        channel = self._channels.get(wanted)
        if channel is None:
            channel = self._channels[wanted] = _Channel(wanted, trio.current_time())
        channel.viewers.add(viewer)
        self._filters[viewer] = wanted
        self._metrics.viewers.set(len(self._filters))
        self._joined.set()

    def leave(self, viewer: Viewer) -> None:
        """Show it nothing any more. One that is not there is ignored."""
        wanted = self._filters.pop(viewer, None)
        if wanted is None:
            return
        channel = self._channels[wanted]
        channel.viewers.discard(viewer)
        if not channel.viewers:
            del self._channels[wanted]
        self._metrics.viewers.set(len(self._filters))

    async def serve(self) -> None:
        """Run until cancelled. Without a viewer there is no subscription, and no work."""
        while True:
            await self._joined.wait()
            async with self._fanout.subscribe() as subscription:
                await self._follow(subscription)
            self._joined = trio.Event()

    async def _follow(self, subscription: Subscription) -> None:
        """Tick until the last viewer has left."""
        stats_at = trio.current_time()
        missed = 0
        while self._filters:
            batches: list[LiveBatch] = []
            with trio.move_on_at(stats_at + STATS_S):
                batches.append(await subscription.batches.receive())
            batches += _waiting(subscription)
            for viewer in self._filters:
                viewer.miss(subscription.missed - missed)
            missed = subscription.missed
            now = trio.current_time()
            self.tick(batches, now)
            if now >= stats_at + STATS_S:
                self._offer_stats(now - stats_at)
                stats_at = now
            # After the first event of a quiet time, not before it: it shows at once.
            await trio.sleep(TICK_S)

    def tick(self, batches: Sequence[LiveBatch], now: float) -> None:
        """Offer what came since the last tick to every viewer."""
        tick = _Tick(batches, self._late)
        self._late = tick.decisions
        self._received += len(tick.received)
        shown = sum(channel.show(tick, now) for channel in self._channels.values())
        self._metrics.shown.inc(shown)

    def _offer_stats(self, elapsed_s: float) -> None:
        for channel in self._channels.values():
            for viewer in channel.viewers:
                if viewer.is_paused:
                    continue
                stats = {
                    "type": "stats",
                    "received_per_s": round(self._received / elapsed_s, 1),
                    "shown_per_s": round(channel.shown / elapsed_s, 1),
                    "missed": viewer.missed,
                    "now": iso_utc(utc_now()),
                }
                viewer.offer(text_frame(stats))
            channel.shown = 0
        self._received = 0


def _waiting(subscription: Subscription) -> list[LiveBatch]:
    batches: list[LiveBatch] = []
    while True:
        try:
            batches.append(subscription.batches.receive_nowait())
        except trio.WouldBlock:
            return batches
