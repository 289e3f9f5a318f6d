"""Whether the replicas have a write: asked before anybody is told that it is safe.

    INFO replication --> expected: most replicas in step during the last HOLD_S
    write --> WAIT expected --> all of them: safe
                            |-> enough, and the sentinels agree that nothing moves: safe
                            `-> else: not confirmed; the caller keeps it and repeats it

WAIT 1 alone is not enough. In a failover by hand the sentinels promote one replica while another
still follows the old primary, and its answer would confirm a write that is about to be lost. So a
replica that was in step and has fallen silent is a reason to ask the sentinels. So is a primary
with fewer replicas than there were: it may have been replaced while it hung, or be cut off, and not
know it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from muttd.errors import StoreUnavailable
from muttd.queue.redis_link import RedisLink
from muttd.queue.redis_session import Attempt, Session

# A replica that was in step is waited for this long after it went: longer than a failover takes
# between promoting it and telling the old primary.
HOLD_S = 10.0
_REFRESH_S = 1.0
# Replicas report once a second.
_MAX_LAG_S = 2
# How long the sentinels' word for a primary that lacks replicas is good. Shorter than they need to
# find out that it hangs.
_AGREED_S = 0.5


@dataclass(slots=True)
class _Known:
    """What we know of one primary.

    Attributes:
        seen: (when, replicas in step), oldest first, none older than HOLD_S.
        agreed_at: When the sentinels last stood by it.
    """

    seen: list[tuple[float, int]] = field(default_factory=list)
    agreed_at: float = float("-inf")


class Replicas:
    """The replicas of the primary. Its methods run in worker threads.

    Args:
        link: To the primary and the sentinels.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._lock = threading.Lock()
        # By the run id of the primary. A call that was stuck in the old one may come back while
        # others work with the new one, and what is known of one says nothing about the other.
        self._known: dict[str, _Known] = {}
        # The most replicas in step that any primary ever had.
        self._most = 0
        # After a write that was not confirmed: look before the next one, so that repeating it
        # against a primary that cannot confirm does not fill the stream with copies.
        self._is_doubtful = False

    def before_write(self, session: Session, attempt: Attempt) -> int:
        """How many replicas confirm() has to wait for.

        Raises:
            StoreUnavailable: A write could not be confirmed now; it need not be tried.
        """
        if not self._link.options.wait_replicas:
            return 0
        in_step, expected = self._look(session)
        if self._is_doubtful and not self._is_enough(in_step, expected, session, attempt):
            raise self._unconfirmed(in_step, expected)
        return expected

    def confirm(self, session: Session, attempt: Attempt, *, expected: int) -> None:
        """Wait until the replicas have what was written on this session.

        Raises:
            StoreUnavailable: They do not have it in time. It may be lost or not.
        """
        if not self._link.options.wait_replicas:
            return
        confirmed = 0
        if expected:
            confirmed = int(session.client.wait(expected, int(self._link.options.wait_s * 1000)))
        self._is_doubtful = not self._is_enough(confirmed, expected, session, attempt)
        if self._is_doubtful:
            raise self._unconfirmed(confirmed, expected)

    def _is_enough(self, count: int, expected: int, session: Session, attempt: Attempt) -> bool:
        if count >= expected:
            # With fewer replicas than there were, we may be on the wrong side of a cut.
            return 0 < self._most <= expected or self._is_agreed(session, attempt)
        least = min(self._link.options.wait_replicas, expected)
        return count >= least and self._link.is_steady(session, attempt, must_hear_all=True)

    def _is_agreed(self, session: Session, attempt: Attempt) -> bool:
        known = self._known.setdefault(session.run_id, _Known())
        if known.agreed_at > time.monotonic() - _AGREED_S:
            return True
        asked_at = time.monotonic()
        if not self._link.is_steady(session, attempt, must_hear_all=False):
            return False
        known.agreed_at = asked_at
        return True

    def _unconfirmed(self, count: int, expected: int) -> StoreUnavailable:
        # Perhaps another server is primary by now.
        self._link.forget_primary()
        if count >= expected:
            return StoreUnavailable(
                f"{self._link.options}: the sentinels do not agree on a primary"
            )
        return StoreUnavailable(
            f"{self._link.options}: {count} of {expected} replicas confirm what is written"
        )

    def _look(self, session: Session) -> tuple[int, int]:
        """Replicas in step now, or a moment ago; and the most of the last HOLD_S."""
        now = time.monotonic()
        with self._lock:
            seen = self._known.setdefault(session.run_id, _Known()).seen
            is_due = not seen or seen[-1][0] < now - _REFRESH_S or self._is_doubtful
        in_step = _count_in_step(session) if is_due else None
        with self._lock:
            if in_step is not None:
                seen.append((now, in_step))
                self._most = max(self._most, in_step)
                self._forget_before(now - HOLD_S, session.run_id)
            counts = [count for _, count in seen]
            return counts[-1], max(counts)

    def _forget_before(self, moment: float, run_id: str) -> None:
        for other, known in list(self._known.items()):
            known.seen[:] = [each for each in known.seen if each[0] > moment]
            if not known.seen and other != run_id:
                del self._known[other]


def _count_in_step(session: Session) -> int:
    # slave0 -> {ip, port, state, offset, lag}, slave1 -> ...
    said = session.client.info("replication").values()
    # Offset 0: it has its first copy, and has not reported yet.
    return sum(
        isinstance(each, dict)
        and each.get("state") == "online"
        and each["offset"] > 0
        and each["lag"] <= _MAX_LAG_S
        for each in said
    )
