"""One pub/sub channel of Redis: an outbox that never waits, and a subscription that comes back.

    send_nowait --> [ outbox, bounded in octets ] --run_outbox: PUBLISH--> Redis
    Redis --> receive(message), for as long as follow() runs

Lossy on purpose: what the outbox cannot hold and what Redis does not take is lost, and said. Redis
forgets a message at once; it is for what the store knows better anyway.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

import redis
import redis.client
import trio

from muttd.backoff import backoff_s
from muttd.errors import StoreUnavailable
from muttd.queue.redis_link import HeldSession, RedisLink

PING_S = 2.0
# Messages handed on in one go, so that a flood does not keep the loop from everything else.
_MESSAGES = 256
_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 2.0

_log = logging.getLogger(__name__)


class RedisChannel:
    """A channel, to publish to and to follow.

    Args:
        link: The way to Redis.
        name: The channel's.
        outbox_octets: Most octets that may wait to be published.
        ping_s: A primary that hangs says nothing and closes nothing: after a silence this long
            it is asked, and after another one left.
    """

    def __init__(
        self, link: RedisLink, name: str, *, outbox_octets: int, ping_s: float = PING_S
    ) -> None:
        self._link = link
        self._name = name
        self._outbox: deque[bytes] = deque()
        self._octets = 0
        self._outbox_octets = outbox_octets
        self._ping_s = ping_s
        self._arrived = trio.Event()

    def send_nowait(self, message: bytes) -> bool:
        """Put a message into the outbox; False when it is full, and the message lost."""
        if self._octets + len(message) > self._outbox_octets:
            return False
        self._outbox.append(message)
        self._octets += len(message)
        self._arrived.set()
        return True

    async def run_outbox(self, lost: Callable[[list[bytes]], None]) -> None:
        """Publish what is in the outbox until cancelled.

        Args:
            lost: Told of messages that Redis did not take, or of which nobody knows.
        """
        failures = 0
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            messages = list(self._outbox)
            try:
                await self._link.call(partial(self._publish, messages))
                failures = 0
            except StoreUnavailable as exc:
                failures += 1
                lost(messages)
                _log.debug("%s: %d messages lost: %s", self._name, len(messages), exc)
            for message in messages:
                self._outbox.popleft()
                self._octets -= len(message)
            if self._outbox:
                self._arrived.set()
            if failures:
                await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))

    def _publish(self, messages: list[bytes], client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        for message in messages:
            pipeline.publish(self._name, message)
        pipeline.execute()

    async def follower_count(self) -> int:
        """How many connections follow the channel.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        counts = await self._link.call(lambda client: client.pubsub_numsub(self._name))
        return int(counts[0][1])

    async def follow(self, receive: Callable[[bytes], None], *, joined: Callable[[], None]) -> None:
        """Hand every message on until cancelled.

        Args:
            receive: Gets each message. Never waits.
            joined: Called when messages come from now on: at first, and after each absence,
                in which some may have been missed.
        """
        failures = 0
        while True:
            try:
                async with self._link.hold() as session:
                    subscription = await session.call(self._subscribe)
                    if failures:
                        _log.warning("%s: followed again", self._name)
                    failures = 0
                    joined()
                    await self._receive(session, subscription, receive)
            except StoreUnavailable as exc:
                failures += 1
                if failures == 1:
                    _log.warning("%s: cannot be followed now: %s", self._name, exc)
            await trio.sleep(backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S))

    def _subscribe(self, client: redis.Redis) -> redis.client.PubSub:
        subscription: redis.client.PubSub = client.pubsub(  # type: ignore[no-untyped-call]  # redis-py's
            ignore_subscribe_messages=True
        )
        subscription.subscribe(self._name)
        # The answer, which is the proof that Redis has done it; it is not a message.
        subscription.get_message(timeout=self._link.options.timeout_s)
        return subscription

    async def _receive(
        self,
        session: HeldSession,
        subscription: redis.client.PubSub,
        receive: Callable[[bytes], None],
    ) -> None:
        wait_s = self._ping_s / 2
        heard_at = trio.current_time()
        asked_at: float | None = None
        while True:
            messages = await session.call(
                lambda _: _next_messages(subscription, wait_s), wait_s=wait_s
            )
            now = trio.current_time()
            if messages:
                heard_at, asked_at = now, None
            elif asked_at is not None and now > asked_at + self._ping_s:
                raise StoreUnavailable(f"{self._link.options}: silent for {now - heard_at:.1f} s")
            elif asked_at is None and now > heard_at + self._ping_s:
                asked_at = now
                await session.call(lambda _: subscription.ping())
            for message in messages:
                if message:
                    receive(message)


def _next_messages(subscription: redis.client.PubSub, wait_s: float) -> list[bytes]:
    """What has come, waiting a little for the first; an empty message is the answer to a ping."""
    messages: list[bytes] = []
    while len(messages) < _MESSAGES:
        message = subscription.get_message(timeout=wait_s)
        if message is None:
            break
        messages.append(message["data"] if message["type"] == "message" else b"")
        wait_s = 0.0
    return messages
