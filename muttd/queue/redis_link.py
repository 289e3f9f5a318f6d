"""The way to Redis, shared by all who use it: queue, live fan-out, counters.

    call(work)   --thread--> idle or new session to the primary --> work(client) --> back to idle
                 `- deadline: the connection is closed, the thread ends, StoreUnavailable

Blocking redis-py runs in worker threads, per batch. A call has a deadline of its own that no
socket timeout adds up beyond: when it passes, the connection is closed under the thread. After an
error that may mean a failover, every connection is dropped and the primary is looked up again.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import redis
import trio

from muttd.errors import StoreError, StoreUnavailable
from muttd.queue.redis_errors import is_connection_fault, translated
from muttd.queue.redis_options import RedisMode, RedisOptions
from muttd.queue.redis_sentinel import Sentinels
from muttd.queue.redis_session import Attempt, Session, SessionFactory

T = TypeVar("T")

# Calls that answer at once. Few: what waits here would wait in Redis, which has one thread.
_COMMAND_THREADS = 8
# Calls that wait for something to come: a take per stream, which is one per destination and one
# for events, and a subscription.
_WAITING_THREADS = 64


class RedisLink:
    """Connections to the primary. Made by open_link.

    Attributes:
        options: Where it is.
    """

    def __init__(self, options: RedisOptions) -> None:
        self.options = options
        self._command_limiter = trio.CapacityLimiter(_COMMAND_THREADS)
        self._waiting_limiter = trio.CapacityLimiter(_WAITING_THREADS)
        self._sessions = SessionFactory(options)
        self._sentinels = Sentinels(options, self._sessions)
        # What follows belongs to the worker threads.
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._generation = 0

    def use_logins(self, options: RedisOptions) -> None:
        """Log in by these options from the next connection on; those that stand stay."""
        self._sessions.use_logins(options.login, options.sentinel_login)

    async def call(self, work: Callable[[redis.Redis], T], *, wait_s: float = 0.0) -> T:
        """Run `work` with a client on the primary, in a worker thread.

        A caller that is cancelled meanwhile still gets the result: what was done must not be
        forgotten, and it is over by the deadline anyway.

        Args:
            work: Gets redis-py's client; called once, repeated by nobody.
            wait_s: How much longer than timeout_s it may take, by what it asks of Redis.

        Raises:
            StoreUnavailable: No answer, or not now. It may have been done all the same.
            StoreRefused: It will never be done.
        """
        return await self.call_session(lambda session, _: work(session.client), wait_s=wait_s)

    async def call_session(
        self, work: Callable[[Session, Attempt], T], *, wait_s: float = 0.0
    ) -> T:
        """call(), for work that wants to know which server it talks to."""
        # Behind the shield nobody would notice: a loop of calls could not be cancelled.
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._run(
            partial(self._work, work), wait_s, self._command_limiter, shield=True
        )

    async def call_waiting(self, work: Callable[[redis.Redis], T], *, wait_s: float) -> T:
        """call(), for work that waits for up to wait_s: cancelling frees the thread at once.

        When it is cancelled, the server may have done its part already and nobody knows.
        """
        return await self._run(
            partial(self._work, lambda session, _: work(session.client)),
            wait_s,
            self._waiting_limiter,
        )

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[HeldSession]:
        """A connection of one's own for the length of the block: for a subscription.

        Raises:
            StoreUnavailable: There is none to be had now.
        """
        session = await self._run(self._open_held, 0.0, self._waiting_limiter)
        try:
            yield HeldSession(self, session)
        finally:
            session.retire()

    def is_steady(self, session: Session, attempt: Attempt, *, must_hear_all: bool) -> bool:
        """Whether the sentinels, if there are any, stand by this primary. In a worker thread.

        Args:
            session: Of the attempt; it may be used again afterwards.
            attempt: Whose time it costs.
            must_hear_all: Whether a sentinel that does not answer is a reason to say no.
        """
        if self.options.mode is RedisMode.STANDALONE:
            return True
        is_steady = self._sentinels.is_steady(session.server, attempt, must_hear_all=must_hear_all)
        attempt.use(session.connection)
        return is_steady

    def forget_primary(self) -> None:
        """Drop every connection: the next call looks the primary up. From any thread."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for session in idle:
            session.retire()

    def open_session(self, attempt: Attempt) -> Session:
        """A new session to the primary. In a worker thread.

        Raises:
            redis.RedisError: There is none to be had now.
        """
        with self._lock:
            generation = self._generation
        server = self.options.servers[0]
        if self.options.mode is RedisMode.SENTINEL:
            server = self._sentinels.who_is_primary(attempt)
        session = self._sessions.open_primary(server, attempt)
        session.generation = generation
        return session

    async def _run(
        self,
        job: Callable[[Attempt], T],
        wait_s: float,
        limiter: trio.CapacityLimiter,
        *,
        shield: bool = False,
    ) -> T:
        budget_s = self.options.timeout_s + wait_s
        attempt = Attempt(budget_s)

        def bounded() -> T:
            try:
                return job(attempt)
            finally:
                attempt.leave()

        with trio.move_on_after(budget_s, shield=shield):
            try:
                return await trio.to_thread.run_sync(
                    bounded, limiter=limiter, abandon_on_cancel=True
                )
            except trio.Cancelled:
                attempt.end()
                raise
        # It may hang for all of them; a connection to a primary that hangs is of no use.
        self.forget_primary()
        raise StoreUnavailable(f"{self.options}: no answer within {budget_s:g} s")

    async def run_held(
        self, session: Session, work: Callable[[redis.Redis], T], wait_s: float
    ) -> T:
        """What HeldSession.call does."""

        def job(attempt: Attempt) -> T:
            attempt.use(session.connection)
            with translated(self.options):
                return work(session.client)

        return await self._run(job, wait_s, self._waiting_limiter)

    def _open_held(self, attempt: Attempt) -> Session:
        with translated(self.options):
            return self.open_session(attempt)

    def _work(self, work: Callable[[Session, Attempt], T], attempt: Attempt) -> T:
        with translated(self.options):
            try:
                session = self._checkout(attempt)
            except redis.RedisError:
                self.forget_primary()
                raise
            try:
                result = work(session, attempt)
            except StoreError:
                self._checkin(session, attempt)
                raise
            except redis.RedisError as exc:
                if is_connection_fault(exc):
                    session.retire()
                    self.forget_primary()
                else:
                    self._checkin(session, attempt)
                raise
            except BaseException:
                # Half an answer may be left in it.
                session.retire()
                raise
            self._checkin(session, attempt)
            return result

    def _checkout(self, attempt: Attempt) -> Session:
        while True:
            with self._lock:
                session = self._idle.pop() if self._idle else None
            if session is None:
                return self.open_session(attempt)
            if session.is_fresh():
                attempt.use(session.connection)
                return session
            session.retire()

    def _checkin(self, session: Session, attempt: Attempt) -> None:
        # Before another thread can have it.
        attempt.leave()
        with self._lock:
            if session.generation == self._generation:
                self._idle.append(session)
                return
        session.retire()


class HeldSession:
    """A connection that is one's own. Made by RedisLink.hold.

    After an error it is of no use; a failover shows as one. Hold another then.
    """

    def __init__(self, link: RedisLink, session: Session) -> None:
        self._link = link
        self._session = session

    async def call(self, work: Callable[[redis.Redis], T], *, wait_s: float = 0.0) -> T:
        """Run `work` with the same client as before; cancelling it ends the connection.

        Args:
            work: May keep a PubSub of the client from one call to the next.
            wait_s: How much longer than timeout_s it may take, by what it asks of Redis.

        Raises:
            StoreUnavailable: The connection is over.
        """
        return await self._link.run_held(self._session, work, wait_s)


@asynccontextmanager
async def open_link(options: RedisOptions) -> AsyncIterator[RedisLink]:
    """A link that connects when it is used: Redis may be away now."""
    link = RedisLink(options)
    try:
        yield link
    finally:
        link.forget_primary()
