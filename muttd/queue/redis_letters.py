"""Dead letters on Redis: the Letters, and functions that run in a worker thread, with a client.

    bury --> letters (id -> letter) + the order of its kind --> replay: an entry | discard: gone

The place of a letter in the order is a number that only rises, so that two kinds can be merged.
Redis knows nothing of what is in a letter: who asks for some of them has all of that kind read,
a page at a time. There are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import redis

from muttd.errors import StoreRefused
from muttd.queue import redis_scripts
from muttd.queue.contract import stream_of
from muttd.queue.letters import ANY_LETTER, DeadLetter, LetterKind, LetterQuery
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Letters read at a time. One may hold a whole event, which may have some hundred KiB.
_PAGE_LETTERS = 200

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


class RedisLetters:
    """Letters, on Redis.

    Args:
        link: To the primary.
        keys: Where they are.
    """

    def __init__(self, link: RedisLink, keys: RedisKeys) -> None:
        self._link = link
        self._keys = keys

    async def find(
        self,
        query: LetterQuery = ANY_LETTER,
        *,
        offset: int = 0,
        limit: int = 50,
        oldest_first: bool = False,
    ) -> list[DeadLetter]:
        """Dead letters, the one buried last first unless asked otherwise."""

        def work(client: redis.Redis) -> list[DeadLetter]:
            found = _matching(self._keys, query, client, oldest_first=oldest_first)
            return list(islice(found, offset, offset + limit))

        return await self._link.call(work)

    async def count(self, query: LetterQuery = ANY_LETTER) -> int:
        """How many there are."""

        def work(client: redis.Redis) -> int:
            if query == LetterQuery(kind=query.kind):
                counts: list[Any] = [client.zcard(key) for key in _orders(self._keys, query)]
                return sum(int(each) for each in counts)
            return sum(1 for _ in _matching(self._keys, query, client))

        return await self._link.call(work)

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One of them."""

        def work(client: redis.Redis) -> DeadLetter | None:
            said: Any = client.hget(self._keys.letters, letter_id)
            return None if said is None else _decoded(self._keys, said)

        return await self._link.call(work)

    async def edit(self, letter_id: str, payload: bytes) -> bool:
        """Give a letter another payload; its replays are counted anew. False: there is none."""
        return await self._link.call(partial(_edit, self._keys, letter_id, payload))

    async def replay(self, letter_ids: Sequence[str]) -> list[str]:
        """Put letters back into the streams they came from and forget them."""
        return await self._link.call(partial(_replay, self._keys, letter_ids))

    async def discard(self, letter_ids: Sequence[str]) -> list[str]:
        """Forget letters. Returns the ids of those that were there."""
        return await self._link.call(partial(_discard, self._keys, letter_ids))

    async def forget(self, *, failed_before: datetime) -> int:
        """Forget letters that failed last before that moment. Returns how many."""
        return await self._link.call(partial(_forget, self._keys, failed_before))


def bury(
    keys: RedisKeys,
    stream_keys: list[str],
    forgotten: list[str | int | bytes],
    letters: Sequence[DeadLetter],
    client: redis.Redis,
) -> None:
    """Keep dead letters and forget entries; a letter that is kept already is left as it is."""
    arguments = list(forgotten)
    for letter in letters:
        arguments += [letter.letter_id, _encoder.encode(letter)]
    orders = [keys.letters_of(letter.kind) for letter in letters]
    redis_scripts.BURY.run(client, [*stream_keys, keys.letters, keys.buried, *orders], arguments)


def _orders(keys: RedisKeys, query: LetterQuery) -> list[str]:
    return [keys.letters_of(each) for each in ([query.kind] if query.kind else LetterKind)]


def _matching(
    keys: RedisKeys, query: LetterQuery, client: redis.Redis, *, oldest_first: bool = False
) -> Iterator[DeadLetter]:
    """Letters in order, read as far as somebody asks."""
    ranked: list[tuple[float, bytes]] = []
    for key in _orders(keys, query):
        said: Any = client.zrange(key, 0, -1, withscores=True)
        ranked += [(place, letter_id) for letter_id, place in said]
    ranked.sort(reverse=not oldest_first)
    for start in range(0, len(ranked), _PAGE_LETTERS):
        ids = [letter_id for _, letter_id in ranked[start : start + _PAGE_LETTERS]]
        for letter in _read(keys, ids, client):
            if letter is not None and _is_meant(letter, query):
                yield letter


def _is_meant(letter: DeadLetter, query: LetterQuery) -> bool:
    return (
        query.reason in (None, letter.reason)
        and query.destination in (None, letter.destination)
        and (query.least_replays is None or letter.replays >= query.least_replays)
        and (query.most_replays is None or letter.replays <= query.most_replays)
    )


def _edit(keys: RedisKeys, letter_id: str, payload: bytes, client: redis.Redis) -> bool:
    while True:
        was: Any = client.hget(keys.letters, letter_id)
        if was is None:
            return False
        letter = msgspec.structs.replace(_decoded(keys, was), payload=payload, replays=0)
        arguments: list[str | int | bytes] = [letter_id, was, _encoder.encode(letter)]
        # Not when somebody else has replayed or edited it in between: then look again.
        if redis_scripts.EDIT.run(client, [keys.letters], arguments):
            return True


def _replay(keys: RedisKeys, letter_ids: Sequence[str], client: redis.Redis) -> list[str]:
    ids = list(dict.fromkeys(letter_ids))
    ranked: list[tuple[float, str]] = []
    for kind in LetterKind:
        places: Any = client.zmscore(keys.letters_of(kind), ids) if ids else []
        ranked += [(place, each) for each, place in zip(ids, places, strict=True) if place]
    moved_keys, arguments = [keys.letters], list[str | int | bytes]()
    for letter in _read(keys, [each for _, each in sorted(ranked)], client):
        if letter is not None:
            stream = stream_of(letter)
            moved_keys += [keys.letters_of(letter.kind), keys.stream(stream), keys.sizes(stream)]
            arguments += [letter.letter_id, letter.payload, _encoder.encode(letter.past)]
    said: Any = redis_scripts.REPLAY.run(client, moved_keys, arguments)
    return [each.decode() for each in said]


def _discard(keys: RedisKeys, letter_ids: Sequence[str | bytes], client: redis.Redis) -> list[str]:
    orders = [keys.letters_of(kind) for kind in LetterKind]
    said: Any = redis_scripts.DISCARD.run(client, [keys.letters, *orders], list(letter_ids))
    return [each.decode() for each in said]


def _forget(keys: RedisKeys, failed_before: datetime, client: redis.Redis) -> int:
    count = 0
    for kind in LetterKind:
        # They are buried in about the order in which they failed: the first page without one that
        # is old enough is the last to look at.
        while True:
            ids: Any = client.zrange(keys.letters_of(kind), 0, _PAGE_LETTERS - 1)
            old = [
                each.letter_id
                for each in _read(keys, ids, client)
                if each is not None and each.last_failed_at < failed_before
            ]
            if not old:
                break
            count += len(_discard(keys, old, client))
    return count


def _read(
    keys: RedisKeys, letter_ids: Sequence[str | bytes], client: redis.Redis
) -> list[DeadLetter | None]:
    if not letter_ids:
        return []
    said: Any = client.hmget(keys.letters, list(letter_ids))
    return [None if octets is None else _decoded(keys, octets) for octets in said]


def _decoded(keys: RedisKeys, octets: bytes) -> DeadLetter:
    try:
        return _decoder.decode(octets)
    except msgspec.MsgspecError as exc:
        raise StoreRefused(f"{keys.letters} holds what is no dead letter: {exc}") from exc
