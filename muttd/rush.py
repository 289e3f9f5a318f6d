"""A rush on the wire: for as long as it lasts, who can wait lets the listeners go first.

    UdpSocket, full batch --note_full--> Rush <--let_pass-- the alerter, before every entry

What the kernel holds is lost when its buffer is full; what the queue holds waits as long as it has
to. So the cores are the listeners' first, while more comes in than they take off the wire at once.
The alerter is slowed down and never stopped: an endless rush must not keep the alerts.
"""

from __future__ import annotations

import math

import trio

# A full batch is followed by the next within less than that, as long as the rush lasts.
_SPELL_S = 0.01
# Nobody steps back for longer.
_PATIENCE_S = 0.04


class Rush:
    """Whether more comes in than is taken at once; what the listeners say, and the others ask."""

    def __init__(self) -> None:
        self._over_at = -math.inf

    def note_full(self) -> None:
        """A listener has taken as much as it takes at once, and there is more."""
        self._over_at = trio.current_time() + _SPELL_S

    async def let_pass(self) -> None:
        """Let the others go first: one turn when it is quiet, and some milliseconds in a rush."""
        give_up_at = trio.current_time() + _PATIENCE_S
        await trio.lowlevel.checkpoint()
        while (until := min(self._over_at, give_up_at)) > trio.current_time():  # noqa: ASYNC110 - a moment, and it moves
            await trio.sleep_until(until)
