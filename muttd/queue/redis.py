"""The queue on Redis: streams and one consumer group, shared by every daemon with one prefix.

    append  --Lua: limit, XADD-->  stream  --XREADGROUP >-->  pending  --Lua: XACK, XDEL-->  gone
       `- WAIT: the replicas have it, or it did not happen

The keys are in redis_keys, the scripts in redis_scripts. Every change is one script, so that it
happens whole or not at all, on replicas too. Ids of entries carry the time by the server's clock,
which is the same for all daemons: appended_at is read off them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import msgspec
import redis
import trio

from muttd.errors import QueueFull
from muttd.queue import redis_ledger_scripts, redis_letters, redis_scripts
from muttd.queue.contract import MOOG, Batch, Depth, Entry, Stream
from muttd.queue.ledger import Counted
from muttd.queue.letters import DeadLetter, Past
from muttd.queue.redis_errors import code_of
from muttd.queue.redis_keys import GROUP, ITEM_COUNT, PAST, PAYLOAD, RELEASED, RedisKeys
from muttd.queue.redis_ledger import RedisLedger, counted_arguments
from muttd.queue.redis_letters import RedisLetters
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions
from muttd.queue.redis_replicas import Replicas
from muttd.queue.redis_session import Attempt, Session
from muttd.queue.redis_setup import RestartNote, refuse_eviction

T = TypeVar("T")

# How long one command waits for entries. Short: a primary that hangs is noticed by then.
_BLOCK_S = 1.0
# The stream is a part of the id: two streams give out the same ids of Redis.
_ENTRY_ID = re.compile(r"([a-z0-9_.-]+):(([0-9]{1,20})-([0-9]{1,20}))")
_MAX_ID_PART = 2**64 - 1
_decode_past = msgspec.msgpack.Decoder(Past).decode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Holding:
    """What one consumer of ours has in hand.

    Attributes:
        entry_ids: Handed out and not yet acked.
        is_known: Whether the server can have nothing else pending for it. It may when we have
            just started, and when an answer was lost on the way.
    """

    def __init__(self) -> None:
        self.entry_ids: set[str] = set()
        self.is_known = False


class RedisQueue:
    """Queue, on Redis. Made by open_redis_queue, or on a link that others use as well.

    Args:
        link: To the primary.
        limits: Most items that append() lets each stream hold.
    """

    def __init__(self, link: RedisLink, *, limits: Mapping[Stream, int]) -> None:
        self._link = link
        self._limits = {stream.value: limit for stream, limit in limits.items()}
        self._keys = RedisKeys(link.options.prefix)
        self._replicas = Replicas(link)
        self._restart = RestartNote()
        self.letters = RedisLetters(link, self._keys)
        self.ledger = RedisLedger(link)
        self._holdings: defaultdict[tuple[str, str], _Holding] = defaultdict(_Holding)

    async def append(self, stream: str, batches: Sequence[Batch]) -> None:
        """Append batches, in this order, all or none; the replicas have them when it returns."""
        if not batches:
            await trio.lowlevel.checkpoint()
            return
        limit = self._limits.get(stream, self._limits[Stream.ALERT])
        arguments: list[str | int | bytes] = [limit]
        for batch in batches:
            arguments += [batch.item_count, batch.payload]
        keys = [self._keys.stream(stream), self._keys.sizes(stream)]

        def work(client: redis.Redis) -> None:
            held = redis_scripts.APPEND.run(client, keys, arguments)
            if isinstance(held, int) and held >= 0:
                raise QueueFull(depth=held, limit=limit)

        await self._write_confirmed(work)

    async def take(self, stream: str, consumer: str, *, count: int, wait_s: float) -> list[Entry]:
        """Take up to count entries that no consumer holds, oldest first.

        What this consumer held in a former life comes first, with deliveries counted on; then
        what somebody released.
        """
        holding = self._holdings[stream, consumer]
        deadline = trio.current_time() + wait_s
        while True:
            if not holding.is_known:
                entries = await self._recover(stream, consumer, count)
                if entries:
                    return entries
            # Well within the socket's own timeout.
            longest_s = min(_BLOCK_S, self._link.options.timeout_s / 2)
            left_s = min(longest_s, deadline - trio.current_time())
            entries = await self._read(stream, consumer, count, left_s)
            if entries or trio.current_time() >= deadline:
                return entries

    async def ack(
        self,
        stream: str,
        entry_ids: Sequence[str],
        *,
        then_append: Sequence[tuple[str, Batch]] = (),
        counted: Counted | None = None,
    ) -> None:
        """Forget entries, append batches elsewhere and count, all in one script."""
        # Not confirmed by replicas: the two are lost together, and the entries come again.
        keys = [self._keys.stream(stream), self._keys.sizes(stream)]
        arguments = _forgotten(stream, entry_ids)
        script = redis_scripts.ACK
        if counted:
            script = redis_ledger_scripts.ACK_COUNTED
            keys += self._keys.ledger()
            arguments = [*counted_arguments(counted), *arguments]
        for other, batch in then_append:
            keys += [self._keys.stream(other), self._keys.sizes(other)]
            arguments += [batch.item_count, batch.payload]
        if entry_ids or then_append:
            await self._link.call(lambda c: script.run(c, keys, arguments))
        self._let_go(stream, entry_ids)

    async def touch(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Say that the consumer is alive and still works on these."""
        arguments: list[str | int | bytes] = [consumer, *_ids_in(stream, entry_ids)]
        keys = [self._keys.stream(stream)]
        if entry_ids:
            await self._call_group(stream, lambda c: redis_scripts.TOUCH.run(c, keys, arguments))

    async def release(self, stream: str, consumer: str, entry_ids: Sequence[str]) -> None:
        """Hand back what the consumer holds, for whoever takes next."""
        arguments: list[str | int | bytes] = [consumer, *_ids_in(stream, entry_ids)]
        keys = [self._keys.stream(stream)]
        if entry_ids:
            await self._call_group(stream, lambda c: redis_scripts.RELEASE.run(c, keys, arguments))
        self._let_go(stream, entry_ids)

    async def claim_idle(
        self, stream: str, consumer: str, *, idle_s: float, count: int
    ) -> list[Entry]:
        """Take over up to count pending entries whose consumer was silent for idle_s or longer."""
        return await self._claim(stream, consumer, [int(idle_s * 1000), count, ""])

    async def bury(
        self, stream: str, entry_ids: Sequence[str], letters: Sequence[DeadLetter]
    ) -> None:
        """Forget entries and keep dead letters: both or neither. entry_ids may be empty."""
        keys = [self._keys.stream(stream), self._keys.sizes(stream)]
        await self._write_confirmed(
            partial(redis_letters.bury, self._keys, keys, _forgotten(stream, entry_ids), letters)
        )
        self._let_go(stream, entry_ids)

    async def depth(self, stream: str) -> Depth:
        """How much the stream holds."""
        keys = [self._keys.stream(stream), self._keys.sizes(stream)]
        said: Any = await self._link.call(lambda c: redis_scripts.DEPTH.run(c, keys, []))
        items, entries, pending_items, oldest = said
        return Depth(
            items=items,
            entries=entries,
            pending_items=pending_items,
            oldest_at=_appended_at(oldest.decode()) if oldest else None,
        )

    async def destinations(self) -> list[str]:
        """For which destinations alerts may wait, sorted."""

        def work(client: redis.Redis) -> list[str]:
            names: Any = client.smembers(self._keys.destinations)
            return sorted({MOOG, *(name.decode() for name in names)})

        return await self._link.call(work)

    async def ping(self) -> None:
        """Return when Redis takes a write, and is set up to keep what it has."""

        def work(client: redis.Redis) -> None:
            client.hincrby(self._keys.sizes(Stream.INGEST), "total", 0)
            refuse_eviction(client, self._link.options)
            self._restart.look(client, self._keys.stream(Stream.INGEST), self._link.options)

        await self._link.call(work)

    def note(self) -> str | None:
        """What a restart of Redis would cost, as the last ping() saw it."""
        return self._restart.text

    async def _write_confirmed(self, work: Callable[[redis.Redis], object]) -> None:
        def work_and_wait(session: Session, attempt: Attempt) -> None:
            expected = self._replicas.before_write(session, attempt)
            work(session.client)
            self._replicas.confirm(session, attempt, expected=expected)

        await self._link.call_session(work_and_wait, wait_s=self._link.options.wait_s)

    async def _read(self, stream: str, consumer: str, count: int, wait_s: float) -> list[Entry]:
        key, holding = self._keys.stream(stream), self._holdings[stream, consumer]
        # BLOCK 0 would be for ever.
        block_ms = max(1, int(wait_s * 1000)) if wait_s > 0 else None

        def read(client: redis.Redis) -> list[Entry]:
            released = redis_scripts.CLAIM.run(client, [key], [consumer, 0, count, RELEASED])
            if released:
                return _claimed(stream, released)
            try:
                said: Any = client.xreadgroup(GROUP, consumer, {key: ">"}, count, block_ms)
            except redis.ResponseError as exc:
                if code_of(exc) == "UNBLOCKED":
                    # The stream went, or the server changed its role while we waited: the next
                    # command will tell.
                    return []
                raise
            return [
                _entry(stream, entry_id, 1, fields) for _, page in said for entry_id, fields in page
            ]

        holding.is_known = False
        work = partial(self._with_group, stream, read)
        if block_ms is None:
            entries = await self._link.call(work)
        else:
            entries = await self._link.call_waiting(work, wait_s=wait_s)
        holding.is_known = True
        # A failover may have lost the note that we have it: it is given to us once more.
        entries = [entry for entry in entries if entry.entry_id not in holding.entry_ids]
        holding.entry_ids.update(entry.entry_id for entry in entries)
        return entries

    async def _recover(self, stream: str, consumer: str, count: int) -> list[Entry]:
        holding = self._holdings[stream, consumer]
        held = _ids_in(stream, holding.entry_ids)
        entries = await self._claim(stream, consumer, [0, count, consumer, *held])
        holding.is_known = len(entries) < count
        return entries

    async def _claim(
        self, stream: str, consumer: str, arguments: list[str | int | bytes]
    ) -> list[Entry]:
        keys = [self._keys.stream(stream)]
        said = await self._call_group(
            stream, lambda c: redis_scripts.CLAIM.run(c, keys, [consumer, *arguments])
        )
        entries = _claimed(stream, said)
        self._holdings[stream, consumer].entry_ids.update(entry.entry_id for entry in entries)
        return entries

    async def _call_group(self, stream: str, work: Callable[[redis.Redis], T]) -> T:
        return await self._link.call(partial(self._with_group, stream, work))

    def _with_group(self, stream: str, work: Callable[[redis.Redis], T], client: redis.Redis) -> T:
        try:
            return work(client)
        except redis.ResponseError as exc:
            if code_of(exc) != "NOGROUP":
                raise
        # A new prefix, or everything was flushed.
        try:
            client.xgroup_create(self._keys.stream(stream), GROUP, id="0", mkstream=True)
        except redis.ResponseError as exc:
            if code_of(exc) != "BUSYGROUP":
                raise
        return work(client)

    def _let_go(self, stream: str, entry_ids: Iterable[str]) -> None:
        for (held_stream, _), holding in self._holdings.items():
            if held_stream == stream:
                holding.entry_ids.difference_update(entry_ids)


def _ids_in(stream: str, entry_ids: Iterable[str]) -> list[str]:
    """Ids as Redis has them; what names no entry of this stream is left out."""
    found = map(_ENTRY_ID.fullmatch, entry_ids)
    return [
        parts[2]
        for parts in found
        if parts and parts[1] == stream and max(int(parts[3]), int(parts[4])) <= _MAX_ID_PART
    ]


def _forgotten(stream: str, entry_ids: Iterable[str]) -> list[str | int | bytes]:
    ids = _ids_in(stream, entry_ids)
    return [len(ids), *ids]


def _appended_at(entry_id: str) -> datetime:
    milliseconds, _, _ = entry_id.partition("-")
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _claimed(stream: str, said: object) -> list[Entry]:
    rows: Any = said
    return [
        _entry(stream, entry_id, deliveries, dict(zip(fields[::2], fields[1::2], strict=True)))
        for entry_id, deliveries, fields in rows
    ]


def _entry(stream: str, redis_id: bytes, deliveries: int, fields: Mapping[bytes, bytes]) -> Entry:
    entry_id = redis_id.decode()
    return Entry(
        entry_id=f"{stream}:{entry_id}",
        # Whatever else somebody has put into the stream by hand is no batch, and is found so.
        payload=fields.get(PAYLOAD, b""),
        item_count=int(fields.get(ITEM_COUNT, 1)),
        deliveries=deliveries,
        appended_at=_appended_at(entry_id),
        past=_past(fields.get(PAST)),
    )


def _past(octets: bytes | None) -> Past | None:
    if octets is None:
        return None
    try:
        return _decode_past(octets)
    except msgspec.MsgspecError:
        # Put there by hand, like a payload that is no batch; that one is found by who decodes it.
        return None


@asynccontextmanager
async def open_redis_queue(
    options: RedisOptions, *, limits: Mapping[Stream, int]
) -> AsyncIterator[RedisQueue]:
    """Open the queue on a link of its own. Redis may be away now; calls say so then.

    Args:
        options: Where Redis is.
        limits: Most items that append() lets each stream hold.
    """
    async with open_link(options) as link:
        yield RedisQueue(link, limits=limits)
