"""One attempt to deliver one alert: what came of it, and what is written down about it.

deliver --> 2xx DELIVERED | later LATER | 401, 403 HELD | else NEVER
"""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import trio

from muttd.decision import Alert, AlertState, Delivery, encode_alerts
from muttd.errors import DeliverLater, DeliveryError, DestinationHeld
from muttd.event import utc_now
from muttd.queue.letters import DeadLetter, LetterKind, LetterReason, letter_id_at
from muttd.workers.outbox import Outgoing

_log = logging.getLogger(__name__)


class Verdict(enum.Enum):
    """What the destination made of it."""

    DELIVERED = enum.auto()
    LATER = enum.auto()
    HELD = enum.auto()
    NEVER = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one attempt.

    Attributes:
        did_answer: For the breaker: it answered, if only to say no; it failed; None: it was not
            even asked.
        retry_after_s: What it asked for.
        error: For a human; no secret, no URL.
    """

    verdict: Verdict
    at: datetime
    duration_s: float
    did_answer: bool | None
    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None

    def delivery(self, outgoing: Outgoing, *, is_dead: bool) -> Delivery:
        """What the store is told."""
        outcome = AlertState.RETRYING
        if self.verdict is Verdict.DELIVERED:
            outcome = AlertState.DELIVERED
        elif is_dead:
            outcome = AlertState.DEAD
        return Delivery(
            alert_id=outgoing.alert.alert_id,
            attempt=outgoing.attempts,
            attempted_at=self.at,
            outcome=outcome,
            status=self.status,
            error=self.error,
            duration_s=self.duration_s,
        )


class _Destination(Protocol):
    async def deliver(self, alert: Alert) -> int:
        """Make one attempt; the 2xx status, or a DeliveryError."""
        ...


async def attempt_once(destination: _Destination, outgoing: Outgoing) -> Attempt:
    """Make one attempt. Raises nothing."""
    at, started = utc_now(), trio.current_time()

    def ended(verdict: Verdict, did_answer: bool | None, exc: DeliveryError | None) -> Attempt:
        return Attempt(
            verdict=verdict,
            at=at,
            duration_s=round(trio.current_time() - started, 4),
            did_answer=did_answer,
            status=None if exc is None else exc.status,
            error=None if exc is None else str(exc),
            retry_after_s=exc.retry_after_s if isinstance(exc, DeliverLater) else None,
        )

    try:
        status = await destination.deliver(outgoing.alert)
    except DeliverLater as exc:
        return ended(Verdict.LATER, False, exc)
    except DestinationHeld as exc:
        return ended(Verdict.HELD, True, exc)
    except DeliveryError as exc:
        return ended(Verdict.NEVER, None if exc.status is None else True, exc)
    except Exception as exc:
        # The last line: an alert on which the code fails must not stop the others, at every
        # restart again. It becomes a dead letter, and the log is loud.
        _log.error("alert %s makes the code fail", outgoing.alert.alert_id, exc_info=exc)
        fault = DeliveryError(f"{type(exc).__name__} here; the log says what")
        return ended(Verdict.NEVER, None, fault)
    return Attempt(
        verdict=Verdict.DELIVERED,
        at=at,
        duration_s=round(trio.current_time() - started, 4),
        did_answer=True,
        status=status,
    )


def letter_of(
    outgoing: Outgoing, attempt: Attempt, reason: LetterReason, *, ids: tuple[str, str]
) -> DeadLetter:
    """The dead letter of an alert that is given up on.

    Args:
        outgoing, attempt: Which alert, and its last attempt.
        reason: Why.
        ids: The daemon's and the destination's.
    """
    now, past = utc_now(), outgoing.past
    origin, destination = ids
    alert = outgoing.alert
    return DeadLetter(
        letter_id=letter_id_at(alert.event.received_at, alert.alert_id, past),
        kind=LetterKind.ALERT,
        item_id=outgoing.alert.alert_id,
        reason=reason,
        error=attempt.error or "",
        attempts=outgoing.attempts,
        first_failed_at=past.first_failed_at if past else outgoing.first_failed_at or now,
        last_failed_at=now,
        origin=origin,
        payload=encode_alerts([outgoing.alert]),
        destination=destination,
        replays=past.replays if past else 0,
    )
