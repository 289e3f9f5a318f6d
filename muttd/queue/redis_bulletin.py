"""News between daemons over Redis pub/sub; the contract is in bulletin.py.

channel {mutt}:news     [instance id of the teller, topic], MessagePack
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import msgspec
import trio

from muttd.queue.bulletin import Topic
from muttd.queue.redis_channel import RedisChannel
from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_link import RedisLink

# Thousands of news: nobody announces as many while Redis answers once.
_OUTBOX_OCTETS = 65536

_log = logging.getLogger(__name__)


class _News(msgspec.Struct, frozen=True, array_like=True):
    teller: str
    # Not a Topic: a newer daemon may know topics that this one does not.
    topic: str


_decoder = msgspec.msgpack.Decoder(_News)


class RedisBulletin:
    """A Bulletin for the daemons of one prefix.

    Args:
        link: The way to Redis.
        instance_id: This daemon's: what it tells, it need not hear.
    """

    def __init__(self, link: RedisLink, *, instance_id: str) -> None:
        keys = RedisKeys(link.options.prefix)
        self._channel = RedisChannel(link, keys.news_channel, outbox_octets=_OUTBOX_OCTETS)
        self._instance_id = instance_id
        self._listeners: dict[str, list[Callable[[], None]]] = {topic: [] for topic in Topic}

    def announce(self, topic: Topic) -> None:
        """Tell every other daemon. Never waits, never raises."""
        self._channel.send_nowait(msgspec.msgpack.encode(_News(self._instance_id, topic)))

    def listen(self, topic: Topic, heard: Callable[[], None]) -> None:
        """Have `heard` called whenever another daemon announces the topic."""
        self._listeners[topic].append(heard)

    async def run(self) -> None:
        """Carry news to and fro until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._channel.run_outbox, _forget)
            await self._channel.follow(self._receive, joined=self._hear_of_everything)

    def _receive(self, message: bytes) -> None:
        try:
            news = _decoder.decode(message)
        except msgspec.MsgspecError as exc:
            _log.warning("news that cannot be read, from another version perhaps: %s", exc)
            return
        if news.teller != self._instance_id:
            for heard in self._listeners.get(news.topic, ()):
                heard()

    def _hear_of_everything(self) -> None:
        # Whatever was announced before we listened.
        for topic in Topic:
            for heard in self._listeners[topic]:
                heard()


def _forget(messages: Iterable[bytes]) -> None:
    """Nothing: who missed the news hears of every topic when Redis is back."""
