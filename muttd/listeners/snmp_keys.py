"""Datagrams that wait for a costly key, so that intake does not.

    add(pending, datagram)    kept in the order received, engine by engine
    wait_ready()              one key made in a thread; what waited for it comes back

One key at a time: whoever invents engine IDs, even with a passphrase of ours, costs half a core
and some memory, and nobody else's traps.
"""

from __future__ import annotations

import trio

from muttd.accounts import Account
from muttd.listeners.udp import Datagram
from muttd.protocol.usm import Usm
from muttd.protocol.usm_sender import PendingKey

# Some 30 000 traps of usual length.
MAX_WAITING_OCTETS = 8_388_608


class KeyWaits:
    """Where they wait.

    Args:
        usm: Learns the keys.
        account: What does not fit any more is dropped, and counted here.
    """

    def __init__(self, usm: Usm, account: Account) -> None:
        self._usm = usm
        self._account = account
        # Insertion order is the order of arrival.
        self._waiting: dict[PendingKey, list[Datagram]] = {}
        self._octets = 0
        self._arrived = trio.Event()
        self._one_at_a_time = trio.CapacityLimiter(1)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, pending: PendingKey, datagram: Datagram) -> None:
        """Let one wait for its key."""
        if self._octets + len(datagram.octets) > MAX_WAITING_OCTETS:
            self._account.dropped += 1
            return
        self._octets += len(datagram.octets)
        self._waiting.setdefault(pending, []).append(datagram)
        self._arrived.set()

    async def wait_ready(self) -> list[Datagram]:
        """Wait until some can be opened; cancelled, they wait on."""
        while not self._waiting:
            self._arrived = trio.Event()
            await self._arrived.wait()
        pending = next(iter(self._waiting))
        key = await trio.to_thread.run_sync(pending.derive, limiter=self._one_at_a_time)
        self._usm.learn(pending, key)
        datagrams = self._waiting.pop(pending)
        self._octets -= sum(len(datagram.octets) for datagram in datagrams)
        return datagrams

    def count_dropped(self) -> None:
        """At the end: what waits still is lost."""
        self._account.dropped += len(self)
        self._waiting.clear()
