"""Book what the kernel drops from UDP sockets, every two seconds and once more at the end.

A socket that systemd keeps over our restarts counts on: what was booked of it is written to a small
file, so that the next run books what was dropped meanwhile, and nothing twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from muttd.accounts import Accounts

_INTERVAL_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class DropGauge:
    """One socket's count.

    Attributes:
        listener: Whose books it goes into.
        read: The kernel's count since the socket was made, or None where it cannot say.
        inode: Of a socket that outlives us; None: it ends with us.
    """

    listener: str
    read: Callable[[], int | None]
    inode: int | None = None
    booked: int = 0


class KernelDrops:
    """Brings the kernel's counts into the books.

    Args:
        accounts: The books.
        gauges: One per UDP socket.
        memory: The file that keeps what was booked of sockets that outlive us.
    """

    def __init__(self, accounts: Accounts, gauges: Sequence[DropGauge], memory: Path) -> None:
        self._accounts = accounts
        self._gauges = gauges
        self._memory = memory
        booked = _recall(memory)
        for gauge in gauges:
            known = booked.get(str(gauge.inode), 0)
            # A smaller count is another socket's that got the same number.
            gauge.booked = known if known <= (gauge.read() or 0) else 0

    def book(self) -> None:
        """Book what was dropped since the last time. The kernel counts in 32 bits."""
        has_news = False
        for gauge in self._gauges:
            count = gauge.read()
            if count is not None and count != gauge.booked:
                self._accounts[gauge.listener].kernel_dropped += (count - gauge.booked) % 2**32
                gauge.booked = count
                has_news = has_news or gauge.inode is not None
        if has_news:
            self._remember()

    def _remember(self) -> None:
        booked = {str(each.inode): each.booked for each in self._gauges if each.inode is not None}
        aside = self._memory.with_suffix(".new")
        try:
            aside.write_text(json.dumps(booked), encoding="ascii")
            aside.replace(self._memory)
        except OSError as exc:
            # A full disk: the next run may book these once more.
            _log.warning("cannot write %s: %s", self._memory, exc.strerror)

    async def run(self) -> None:
        """Book until cancelled."""
        while True:
            await trio.sleep(_INTERVAL_S)
            self.book()


def _recall(memory: Path) -> dict[str, int]:
    """What earlier runs booked, by inode; what cannot be read is nothing."""
    with suppress(OSError, ValueError):
        found = json.loads(memory.read_text(encoding="ascii"))
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if isinstance(value, int)}
    return {}
