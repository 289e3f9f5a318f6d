"""Book what the kernel drops from UDP sockets, once a second and once more at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from muttd.accounts import Accounts

_INTERVAL_S = 1.0


@dataclass(slots=True)
class DropGauge:
    """One socket's count.

    Attributes:
        listener: Whose books it goes into.
        read: The kernel's count since the socket was made, or None where it cannot say.
    """

    listener: str
    read: Callable[[], int | None]
    booked: int = 0


class KernelDrops:
    """Brings the kernel's counts into the books.

    Args:
        accounts: The books.
        gauges: One per UDP socket.
    """

    def __init__(self, accounts: Accounts, gauges: Sequence[DropGauge]) -> None:
        self._accounts = accounts
        self._gauges = gauges

    def book(self) -> None:
        """Book what was dropped since the last time. The kernel counts in 32 bits."""
        for gauge in self._gauges:
            count = gauge.read()
            if count is not None:
                self._accounts[gauge.listener].kernel_dropped += (count - gauge.booked) % 2**32
                gauge.booked = count

    async def run(self) -> None:
        """Book until cancelled."""
        while True:
            await trio.sleep(_INTERVAL_S)
            self.book()
