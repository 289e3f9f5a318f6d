"""Dead letters on Redis: functions that run in a worker thread, with a client on the primary.

    bury --> letters (id -> letter) + the order of its kind --> replay: an entry | discard: gone

The place of a letter in the order is a number that only rises, so that two kinds can be merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import redis

from muttd.errors import StoreRefused
from muttd.queue import redis_scripts
from muttd.queue.contract import DeadLetter, LetterKind, Stream
from muttd.queue.redis_keys import RedisKeys

STREAM_OF = {LetterKind.EVENT: Stream.INGEST, LetterKind.ALERT: Stream.ALERT}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


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


def newest(
    keys: RedisKeys, kinds: Sequence[LetterKind], offset: int, limit: int, client: redis.Redis
) -> list[DeadLetter]:
    """Dead letters, the one buried last first."""
    ranked: list[tuple[float, bytes]] = []
    for kind in kinds:
        said: Any = client.zrevrange(keys.letters_of(kind), 0, offset + limit - 1, withscores=True)
        ranked += [(place, letter_id) for letter_id, place in said]
    ranked.sort(reverse=True)
    ids = [letter_id for _, letter_id in islice(ranked, offset, offset + limit)]
    return [letter for letter in _read(keys, ids, client) if letter is not None]


def count(keys: RedisKeys, kind: LetterKind, client: redis.Redis) -> int:
    """How many dead letters of that kind there are."""
    said: Any = client.zcard(keys.letters_of(kind))
    return int(said)


def replay(keys: RedisKeys, letter_ids: Sequence[str], client: redis.Redis) -> int:
    """Turn dead letters into entries again, in the order they were buried; how many there were."""
    ids = list(dict.fromkeys(letter_ids))
    ranked: list[tuple[float, str]] = []
    for kind in LetterKind:
        places: Any = client.zmscore(keys.letters_of(kind), ids) if ids else []
        ranked += [(place, each) for each, place in zip(ids, places, strict=True) if place]
    moved_keys, arguments = [keys.letters], list[str | int | bytes]()
    for letter in _read(keys, [each for _, each in sorted(ranked)], client):
        if letter is not None:
            stream = STREAM_OF[letter.kind]
            moved_keys += [keys.letters_of(letter.kind), keys.stream(stream), keys.sizes(stream)]
            arguments += [letter.letter_id, letter.payload]
    said: Any = redis_scripts.REPLAY.run(client, moved_keys, arguments)
    return int(said)


def discard(keys: RedisKeys, letter_ids: Sequence[str], client: redis.Redis) -> int:
    """Forget dead letters; how many there were."""
    orders = [keys.letters_of(kind) for kind in LetterKind]
    said: Any = redis_scripts.DISCARD.run(client, [keys.letters, *orders], list(letter_ids))
    return int(said)


def _read(
    keys: RedisKeys, letter_ids: Sequence[str | bytes], client: redis.Redis
) -> list[DeadLetter | None]:
    if not letter_ids:
        return []
    said: Any = client.hmget(keys.letters, list(letter_ids))
    try:
        return [None if text is None else _decoder.decode(text) for text in said]
    except msgspec.MsgspecError as exc:
        raise StoreRefused(f"{keys.letters} holds what is no dead letter: {exc}") from exc
