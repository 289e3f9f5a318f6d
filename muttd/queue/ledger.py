"""What daemons remember together of what went before: the contract of the ledger.

    groups    unmatched events by host and template, counted in a sliding window
    repeats   signature -> the alert that stands for it, since when, and how many it held back
    open      (rule, host) -> the problems that were raised and not cleared
    later     problems that came back while they were held back: raised when that ends
    early     clears that came before the problem they end, which another daemon still decides
    judged    alert id -> what was said of it, so that a repetition hears the same
    seen      hosts of which something is expected, by when they were heard
    silent    those that were reported silent
    due       what is to be raised and was not yet: the outbox

Each kind is a table of at most MOST[kind] keys in an order of its own; the first go when it is
full, and are counted. Counting happens in the transaction that acks the events counted (see
Queue.ack), so that an event delivered again counts once; what is due leaves the outbox in the
transaction that appends its alert. Both backends do exactly the same; times are microseconds since
1970, UTC, of receipt.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from muttd.queue.contract import Batch

# How every time in the ledger is kept; for whoever fills it.
from muttd.sqlite_file import from_microseconds as from_microseconds
from muttd.sqlite_file import to_microseconds as to_microseconds

KINDS = ("groups", "repeats", "open", "later", "early", "judged", "seen", "silent", "due")
# Some hundred octets a key, a thousand for a group or a problem: together well under 200 MiB.
MOST = {
    "groups": 50_000,
    "repeats": 100_000,
    "open": 50_000,
    "later": 10_000,
    "early": 10_000,
    "judged": 100_000,
    "seen": 50_000,
    "silent": 50_000,
    "due": 100_000,
}
# A window is counted in so many slots: it is exact to that part of itself, and a group stays small.
SLOTS = 64
# Problems of one rule on one host; a thousand ports that go down with their switch are few.
MOST_OPEN_OF_ONE = 1000
MOST_EARLY_OF_ONE = 20

_HOUR_US = 3_600_000_000
# What is kept beyond the last moment at which it was of use, by its place in the order.
KEPT_US = {
    # Held back and told with the next alert, if there is one within a week.
    "repeats": 7 * 24 * _HOUR_US,
    # Who repaired something a month ago without a word from the device does not wait for it.
    "open": 31 * 24 * _HOUR_US,
    # Daemons that work on the same backlog are not further apart.
    "early": _HOUR_US // 6,
    # An entry that nobody finished for a day is not delivered again for the first time.
    "judged": 24 * _HOUR_US,
}


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """Events of one group in one batch.

    Attributes:
        key: Of the group.
        about: What a meta-alert will say of it, as text; that of the first sighting stays.
        times: Time and number of events, in turns.
    """

    key: str
    about: str
    times: list[int]


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """What is counted with an ack.

    Attributes:
        threshold, window_us: When a group becomes due.
        sightings: Unmatched events.
        hosts: (host, source address, time) of expected sources that were heard.
        judged: Alert ids whose verdicts nobody will ask for any more.
    """

    threshold: int
    window_us: int
    sightings: list[Sighting] = []
    hosts: list[tuple[str, str, int]] = []
    judged: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.sightings or self.hosts or self.judged)


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """An alert that would go out, for the ledger to judge.

    Attributes:
        alert_id: Its id; the same again gets the same verdict.
        at_us: When its event was received.
        interval_us: How long it stands for others of its signature; 0: it does not.
        repeat_key: What the others have in common with it.
        pair: Rule and host whose problems a clear ends; empty: nothing ends them.
        signature: Of the problem.
        names: What the event is about: interfaces, addresses and the like.
        is_clear: Whether it ends problems rather than being one.
        alert: The alert itself, as text, for when it is sent later.
    """

    alert_id: str
    at_us: int
    interval_us: int
    repeat_key: str
    pair: str
    signature: str
    names: list[str]
    is_clear: bool
    alert: str


class Said(enum.IntEnum):
    """What becomes of a claim."""

    SEND = 0
    HOLD = 1
    CLEAR = 2


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What the ledger says of a claim.

    Attributes:
        said: SEND, HOLD, or CLEAR: the signatures in `ended` get a clear each.
        held_back: SEND: how many were held back since the last one.
        held_by: HOLD: the alert that stands for this one.
        ended: CLEAR: signatures. SEND: clears, as text, that came before this problem.
    """

    said: Said
    held_back: int = 0
    held_by: str = ""
    ended: list[str] = []


class Due(msgspec.Struct, frozen=True, array_like=True):
    """Something to be raised.

    Attributes:
        due_id: Its place in the outbox, and what its ids are made of.
        kind: "unhandled", "silent", "back" or "alert".
        at_us: When it became due.
        count: unhandled: events in the window. alert: how many were held back.
        window_us: unhandled: the window. silent: how long the host may be silent.
        about: What whoever counted gave along.
    """

    due_id: str
    kind: str
    at_us: int
    count: int
    window_us: int
    about: str


class SilentHost(msgspec.Struct, frozen=True, array_like=True):
    """A host that was reported silent; last_us None: and nothing was heard of it since."""

    host: str
    about: str
    last_us: int | None


class Watch(msgspec.Struct, frozen=True, array_like=True):
    """What there is to be watched.

    Attributes:
        since_us: Since when somebody watches without a gap.
        quiet: (host, source address, last heard) of hosts not heard since the time asked about.
        silent: Hosts reported silent.
    """

    since_us: int
    quiet: list[tuple[str, str, int]] = []
    silent: list[SilentHost] = []


class Fallen(msgspec.Struct, frozen=True, array_like=True):
    """A host to be reported silent, unless it is already or was heard meanwhile."""

    host: str
    last_us: int
    at_us: int
    expect_every_us: int
    about: str


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """How much the ledger holds, by kind, and how many keys had to go because a kind was full."""

    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    evicted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


class Ledger(Protocol):
    """Every method raises StoreUnavailable when the backend cannot answer now."""

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict]:
        """Judge claims in this order. The same alert_id gets the same verdict, and counts once."""
        ...

    async def due(self, *, now_us: int, window_us: int) -> tuple[list[Due], LedgerStats]:
        """The outbox, oldest first, and what is held; forgets what is of no use any more."""
        ...

    async def settle(
        self, settled: Sequence[tuple[str, Batch | None]], *, stream: str = ...
    ) -> None:
        """Take items out of the outbox and append the batch of each to a stream, at once.

        By default to Stream.ALERT. An item that is gone already is passed over, its batch too.
        """
        ...

    async def recount(self, *, now_us: int, threshold: int, window_us: int) -> int:
        """Look at every group once: those at the threshold become due. Returns how many did."""
        ...

    async def watch(
        self, watcher: str, *, now_us: int, gap_us: int, quiet_before_us: int, adopt: Sequence[str]
    ) -> Watch | None:
        """Look for silence; None when another daemon does.

        Args:
            watcher: Who looks. Whoever looked last does so until he was away for half of gap_us.
            now_us: Until when events are known.
            gap_us: Nobody has watched for longer: watching begins anew.
            quiet_before_us: Hosts heard later are of no interest.
            adopt: Hosts to be expected from now on, if they are not yet.
        """
        ...

    async def fall_silent(self, fallen: Sequence[Fallen]) -> None:
        """Report hosts silent."""
        ...

    async def end_silence(
        self, hosts: Sequence[str], *, now_us: int, forget: Sequence[str]
    ) -> None:
        """Say that hosts are back, and forget others of which nothing is expected any more."""
        ...
