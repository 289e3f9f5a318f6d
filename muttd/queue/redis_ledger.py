"""The ledger that all daemons share, in Redis; each call is one of redis_ledger_scripts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import redis

from muttd.queue import redis_ledger_scripts as scripts
from muttd.queue.contract import Batch, Stream
from muttd.queue.ledger import (
    MOST,
    Claim,
    Counted,
    Due,
    Fallen,
    LedgerStats,
    SilentHost,
    Verdict,
    Watch,
)
from muttd.queue.redis_books import LedgerScript
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

_DUE_AT_ONCE = 100
# A page of groups keeps Redis busy for some milliseconds.
_RECOUNT_AT_ONCE = 500

_encode = msgspec.msgpack.encode
_verdicts = msgspec.msgpack.Decoder(list[Verdict])
_due = msgspec.msgpack.Decoder(tuple[list[Due], dict[str, int], dict[str, int]])
_watch = msgspec.msgpack.Decoder(Watch)

Arguments = list[str | int | bytes]


def counted_arguments(counted: Counted) -> Arguments:
    """What ACK_COUNTED wants first."""
    return [_encode(MOST), _encode(counted)]


class RedisLedger:
    """Ledger, on Redis.

    Args:
        link: The way to Redis.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._keys = RedisKeys(link.options.prefix)

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict]:
        """Judge claims in this order."""
        said = await self._run(scripts.JUDGE, claims)
        return _verdicts.decode(said)

    async def due(self, *, now_us: int, window_us: int) -> tuple[list[Due], LedgerStats]:
        """The outbox, oldest first, and what is held."""
        said = await self._run(scripts.DUE, [now_us, window_us, _DUE_AT_ONCE])
        found, held, evicted = _due.decode(said)
        return found, LedgerStats(held, evicted)

    async def settle(
        self, settled: Sequence[tuple[str, Batch | None]], *, stream: str = Stream.ALERT
    ) -> None:
        """Take items out of the outbox and append the batch of each, at once."""
        keys = self._keys.ledger()
        arguments: Arguments = []
        ids: tuple[list[str], list[str]] = ([], [])
        for due_id, batch in settled:
            if batch is None:
                ids[1].append(due_id)
                continue
            ids[0].append(due_id)
            keys += [self._keys.stream(stream), self._keys.sizes(stream)]
            arguments += [batch.item_count, batch.payload]
        given: Arguments = [_encode(MOST), _encode(ids), *arguments]
        await self._link.call(lambda client: scripts.SETTLE.run(client, keys, given))

    async def recount(self, *, now_us: int, threshold: int, window_us: int) -> int:
        """Look at every group once: those at the threshold become due."""
        asked = _encode([now_us, threshold, window_us])
        became = 0
        cursor = b"0"
        while True:
            given: Arguments = [_encode(MOST), asked, cursor, _RECOUNT_AT_ONCE]

            def work(client: redis.Redis, given: Arguments = given) -> object:
                return scripts.RECOUNT.run(client, self._keys.ledger(), given)

            said = await self._link.call(work)
            assert isinstance(said, list)
            cursor, became = said[0], became + int(said[1])
            if cursor == b"0":
                return became

    async def watch(
        self, watcher: str, *, now_us: int, gap_us: int, quiet_before_us: int, adopt: Sequence[str]
    ) -> Watch | None:
        """Look for silence; None when another daemon does."""
        keys = [*self._keys.ledger(), self._keys.watch]
        asked = _encode([watcher, now_us, gap_us, quiet_before_us, adopt])
        given: Arguments = [_encode(MOST), asked]
        said = await self._link.call(lambda client: scripts.WATCH.run(client, keys, given))
        assert isinstance(said, bytes)
        if not said:
            return None
        found = _watch.decode(said)
        silent = [
            each if each.last_us != -1 else SilentHost(each.host, each.about, None)
            for each in found.silent
        ]
        return Watch(found.since_us, found.quiet, silent)

    async def fall_silent(self, fallen: Sequence[Fallen]) -> None:
        """Report hosts silent."""
        await self._run(scripts.FALL_SILENT, fallen)

    async def end_silence(
        self, hosts: Sequence[str], *, now_us: int, forget: Sequence[str]
    ) -> None:
        """Say that hosts are back."""
        await self._run(scripts.END_SILENCE, [hosts, now_us, forget])

    async def _run(self, script: LedgerScript, asked: object) -> bytes:
        keys = self._keys.ledger()
        given: Arguments = [_encode(MOST), _encode(asked)]
        said = await self._link.call(lambda client: script.run(client, keys, given))
        return said if isinstance(said, bytes) else b""
