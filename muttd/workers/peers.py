"""The daemons that work together: each says how it is every few seconds, and reads the others.

    describe() --post--> board --read_others--> others: what they said, and how long ago

A daemon that stops in order leaves the board. One that falls silent stays on it for a while, so
that somebody notices who is missing. While the board is away nobody is heard of: who was not
silent before is not called so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from muttd.errors import StoreUnavailable
from muttd.queue.peers import PeerBoard, Posted

_INTERVAL_S = 5.0
# Three beats missed.
SILENT_S = 3 * _INTERVAL_S
# To leave the board is a courtesy: no stop waits longer for it.
_LEAVE_S = 1.0

_log = logging.getLogger(__name__)


class Peers:
    """This daemon among the others.

    Args:
        board: Where they see each other.
        interval_s: How often each says how it is.
    """

    def __init__(self, board: PeerBoard, *, interval_s: float = _INTERVAL_S) -> None:
        self._board = board
        self._interval_s = interval_s
        self._others: list[Posted] = []
        self._read_at = 0.0

    def others(self) -> list[dict[str, Any]]:
        """What each other daemon said last, with seen_s and is_silent; sorted by name."""
        since_s = trio.current_time() - self._read_at
        documents = [
            {
                **json.loads(posted.document),
                "instance_id": posted.instance_id,
                "seen_s": round(posted.age_s + since_s, 1),
                "is_silent": posted.age_s > SILENT_S,
            }
            for posted in self._others
        ]
        return sorted(documents, key=lambda each: (each["name"], each["instance_id"]))

    @property
    def has_company(self) -> bool:
        """Whether another daemon works on the same queue now."""
        return any(not each["is_silent"] for each in self.others())

    async def run(self, describe: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Post and read until cancelled; then leave.

        Args:
            describe: Says how this daemon is.
        """
        failures = 0
        try:
            while True:
                document = json.dumps(await describe()).encode()
                try:
                    await self._board.post(document)
                    self._others = await self._board.read_others()
                    self._read_at = trio.current_time()
                    failures = 0
                except StoreUnavailable as exc:
                    failures += 1
                    if failures == 1:
                        _log.warning("peers: cannot be seen now: %s", exc)
                await trio.sleep(self._interval_s)
        finally:
            with trio.move_on_after(_LEAVE_S, shield=True):
                await self._leave()

    async def _leave(self) -> None:
        try:
            await self._board.leave()
        except StoreUnavailable:
            _log.info("peers: Redis is away, the others will see this daemon as silent")
