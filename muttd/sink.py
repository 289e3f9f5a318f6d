"""Where listeners hand their events: the narrow door to the pipeline.

put(load, receipt)      waits while the intake buffer is full: that is the back-pressure
receipt()               called once the queue has the events; the only thing that flows back
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from muttd.arrivals import Arrivals
from muttd.event import Event

# What a listener hands over: events, or syslog messages that are parsed later.
Load = Sequence[Event] | Arrivals


class Sink(Protocol):
    """What the intake offers to a listener."""

    async def put(
        self, listener: str, load: Load, receipt: Callable[[], None] | None = None
    ) -> None:
        """Hand over a batch, in the order received.

        Returns when the intake buffer has it. Waits while the buffer is full, so a caller that
        stops reading meanwhile passes the pressure on. Cancelled before it returns: the load is
        counted as dropped.

        Args:
            listener: The metric label: syslog_udp, syslog_tcp, syslog_tls, snmp, http.
            load: At least one.
            receipt: Called when the queue has every one of them. Never awaits, never raises.
        """
        ...

    async def put_and_wait(self, listener: str, events: Sequence[Event], *, wait_s: float) -> None:
        """Hand over a batch and wait until the queue has it.

        Raises:
            QueueFull, StoreUnavailable: The queue did not take it within wait_s seconds. It may
                still be taken later; it carries its ids.
        """
        ...
