"""PostgreSQL away, hung, replaced: nothing acknowledged is lost, and no thread is stuck."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest
import trio
from postgres_scene import PAGED, PROD, decided, messages, record
from servers.postgres_server import (
    DAEMON,
    PostgresServer,
    database,
    needs_postgres,
    postgres_server,
    standby_of,
)

from muttd.decision import Decided
from muttd.errors import StoreUnavailable
from muttd.store.contract import EventQuery, Window
from muttd.store.postgres import PostgresStore, open_postgres_store
from muttd.store.postgres_options import PostgresOptions

pytestmark = [needs_postgres, pytest.mark.chaos]

TIMEOUT_S = 1.0
# libpq waits for a connection for at least two seconds a host; then come ticks and a busy machine.
LATEST_S = 6.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def options(*urls: str) -> PostgresOptions:
    """Of several URLs of the same database: the hosts of all."""
    hosts = ",".join(url.split("@")[1].split("/")[0] for url in urls)
    name = urls[0].rpartition("/")[2]
    return PostgresOptions(url=f"postgresql://{DAEMON}@{hosts}/{name}", timeout_s=TIMEOUT_S)


async def in_thread(work: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(work)


async def until_recorded(store: PostgresStore, *events: Decided) -> None:
    """As the alerter does: the same batch until it is taken."""
    with trio.fail_after(20.0):
        while True:
            try:
                return await record(store, *events)
            except StoreUnavailable:
                await trio.sleep(0.05)


class Receipts:
    """Which events were acknowledged."""

    def __init__(self) -> None:
        self.event_ids: list[str] = []
        self._more = trio.Event()

    def add(self, events: Sequence[Decided]) -> None:
        self.event_ids.extend(each.event.event_id for each in events)
        self._more.set()
        self._more = trio.Event()

    async def wait_more(self, count: int) -> None:
        wanted = len(self.event_ids) + count
        with trio.fail_after(30):
            while len(self.event_ids) < wanted:
                await self._more.wait()


async def test_a_store_that_is_away_at_first_is_used_when_it_comes(server: PostgresServer) -> None:
    with database(server) as url:
        await in_thread(server.stop)
        async with open_postgres_store(options(url)) as store:
            with pytest.raises(StoreUnavailable):
                await store.ping()
            with pytest.raises(StoreUnavailable):
                await record(store, decided("too early"))
            await in_thread(server.start)
            await store.ping()
            await record(store, decided("in time"))
            assert await messages(store) == ["in time"]


async def test_a_restart_costs_at_most_the_calls_that_met_it(server: PostgresServer) -> None:
    with database(server) as url:
        async with open_postgres_store(options(url)) as store:
            await record(store, decided("before"))
            assert await messages(store) == ["before"]
            await in_thread(server.stop)
            with pytest.raises(StoreUnavailable):
                await record(store, decided("during"))
            await in_thread(server.start)
            # No connection of before is tried again: the first call succeeds.
            await record(store, decided("after"))
            assert await messages(store) == ["after", "before"]


async def test_a_server_that_hangs_holds_nobody_longer_than_the_deadline(
    server: PostgresServer,
) -> None:
    with database(server) as url:
        async with open_postgres_store(options(url), search_deadline_s=TIMEOUT_S) as store:
            await record(store, decided("before"))
            await store.ping()
            assert await messages(store) == ["before"]
            server.suspend()
            took: dict[str, float] = {}

            async def fails(name: str, call: Callable[[], Awaitable[object]]) -> None:
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    await call()
                took[name] = time.monotonic() - began

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fails, "record", lambda: record(store, decided("during")))
                nursery.start_soon(fails, "ping", store.ping)
                nursery.start_soon(fails, "book", store.rule_book)
                nursery.start_soon(
                    fails, "search", lambda: store.search_events(EventQuery(), Window())
                )
            # Nor does connecting, now that the idle connections are gone.
            await fails("again", store.ping)
            server.resume()
            assert max(took.values()) < LATEST_S, took
            await until_recorded(store, decided("after"))
            assert (await messages(store))[0] == "after"


async def test_who_asks_no_longer_does_not_hold_a_thread(server: PostgresServer) -> None:
    with database(server) as url:
        async with open_postgres_store(options(url), search_deadline_s=60.0) as store:
            await store.search_events(EventQuery(), Window())
            server.suspend()
            began = time.monotonic()
            with trio.move_on_after(0.2) as scope:
                await store.search_events(EventQuery(), Window())
            assert scope.cancelled_caught
            assert time.monotonic() - began < 2.0
            server.resume()


async def test_a_dead_primary_is_followed_by_its_standby_and_nothing_acknowledged_is_lost(
    server: PostgresServer,
) -> None:
    with database(server) as url, standby_of(server, synchronous=True) as standby:
        there = f"postgresql://{DAEMON}@127.0.0.1:{standby.port}/{url.rpartition('/')[2]}"
        receipts, stop = Receipts(), trio.Event()

        async def feed(store: PostgresStore) -> None:
            while not stop.is_set():
                batch = [decided(f"{n}", decision=PROD if n % 5 else PAGED) for n in range(20)]
                await until_recorded(store, *batch)
                receipts.add(batch)

        async with open_postgres_store(options(url, there)) as store:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(feed, store)
                await receipts.wait_more(600)
                await in_thread(server.kill)
                await in_thread(standby.promote)
                await receipts.wait_more(600)
                stop.set()
            rows = standby.execute(
                "SELECT event_id::text FROM event_audit_log"
                " UNION ALL SELECT event_id::text FROM event_history",
                database=url.rpartition("/")[2],
            )
            stored = [str(row[0]) for row in rows]
            assert set(receipts.event_ids) <= set(stored)
            assert len(stored) == len(set(stored))
            assert (await store.search_events(EventQuery(), Window())).total == len(stored)


async def test_a_primary_that_wakes_up_after_it_was_replaced_gets_no_writes(
    server: PostgresServer,
) -> None:
    with database(server) as url, standby_of(server) as standby:
        name = url.rpartition("/")[2]
        there = f"postgresql://{DAEMON}@127.0.0.1:{standby.port}/{name}"
        async with open_postgres_store(options(url, there)) as store:
            await record(store, decided("before"))
            server.suspend()
            with pytest.raises(StoreUnavailable):
                await record(store, decided("during"))
            await in_thread(standby.promote)
            await until_recorded(store, decided("after"))
            server.resume()
            await in_thread(standby.stop)
            with pytest.raises(StoreUnavailable, match="this server was replaced"):
                await record(store, decided("to the wrong one"))
            await in_thread(standby.start)
            await until_recorded(store, decided("later"))
            texts = await messages(store)
            assert (texts[0], "after" in texts, "to the wrong one" in texts) == (
                "later",
                True,
                False,
            )


async def test_a_primary_that_became_a_standby_is_left(server: PostgresServer) -> None:
    """Behind one address (a virtual IP) the other host shows itself only by refusing to write."""
    with database(server) as url:
        async with open_postgres_store(options(url)) as store:
            await record(store, decided("before"))
            set_read_only(server, "on")
            with pytest.raises(StoreUnavailable, match="read-only"):
                await ping_until_refused(store)
            set_read_only(server, "off")
            await until_recorded(store, decided("after"))
            assert (await messages(store))[0] == "after"


async def ping_until_refused(store: PostgresStore) -> None:
    with trio.fail_after(10):
        while True:
            await store.ping()
            await trio.sleep(0.05)


def set_read_only(server: PostgresServer, value: str) -> None:
    server.execute(
        f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()"
    )
