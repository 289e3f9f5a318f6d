"""muttd/queue/redis_link.py, redis_session.py, redis_sentinel.py: servers come, go and hang."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import trio
from interruption import wait_until
from servers.certificates import Certificates, make_certificates
from servers.redis_sentinels import sentinel_set
from servers.redis_server import (
    ADMIN,
    ADMIN_PASSWORD,
    RedisServer,
    RedisSetup,
    needs_redis,
    redis_server,
    replica_of,
)

from muttd.errors import StoreUnavailable
from muttd.queue.redis_keys import acl_rule
from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisLogin, RedisOptions, RedisTls

pytestmark = needs_redis

TIMEOUT_S = 0.4
# A loaded machine may be late; a call that waits for its socket twice would be later.
LATE_S = 0.35
USER = f"mutt on >old-secret {acl_rule('mutt')}"


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that the test may do anything to."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def quick(server: RedisServer, *passwords: str) -> RedisOptions:
    login = RedisLogin("mutt" if passwords else None, passwords)
    return replace(RedisOptions.from_url(server.url(), login=login), timeout_s=TIMEOUT_S)


def put(client: redis.Redis) -> object:
    return client.incr("{mutt}:test")


async def refusal_of(link: RedisLink) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await link.call(put)
    return str(caught.value)


async def test_a_link_opens_while_redis_is_away_and_works_once_it_is_there(
    own_redis: RedisServer,
) -> None:
    own_redis.kill()
    async with open_link(quick(own_redis)) as link:
        assert "refused" in await refusal_of(link)
        await trio.to_thread.run_sync(own_redis.start)
        assert await link.call(put) == 1


async def test_a_restart_of_redis_costs_no_call_that_comes_after_it(
    own_redis: RedisServer,
) -> None:
    async with open_link(quick(own_redis)) as link:
        await link.call(put)
        own_redis.kill()
        await trio.to_thread.run_sync(own_redis.start)
        assert await link.call(put) == 1


async def test_a_call_to_a_redis_that_hangs_ends_at_its_deadline_and_its_thread_too(
    own_redis: RedisServer,
) -> None:
    threads_before = threading.active_count()
    async with open_link(quick(own_redis)) as link:
        await link.call(put)
        own_redis.suspend()
        # More than there are threads for: those that wait for one have a deadline as well.
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(refused_in_time, link)
        await refused_in_time(link)
        own_redis.resume()
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(link.call, put)
    # Trio keeps idle threads for a while; what was stuck would be beyond those eight.
    assert threading.active_count() <= threads_before + 9


async def refused_in_time(link: RedisLink) -> None:
    started = trio.current_time()
    assert "no answer" in await refusal_of(link)
    assert trio.current_time() - started < TIMEOUT_S + LATE_S


async def test_a_tls_handshake_that_hangs_ends_at_the_deadline(certificates: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = RedisOptions.from_url(
            f"rediss://127.0.0.1:{silent.getsockname()[1]}", tls=RedisTls(certificates.ca)
        )
        async with open_link(replace(options, timeout_s=TIMEOUT_S)) as link:
            await refused_in_time(link)


async def test_a_call_that_nobody_waits_for_any_more_is_not_sent(own_redis: RedisServer) -> None:
    async with open_link(quick(own_redis)) as link:
        own_redis.suspend()
        # It hangs while it connects, before the command is sent.
        await refused_in_time(link)
        own_redis.resume()
        assert await link.call(put) == 1


async def test_a_cancelled_wait_ends_at_once_and_its_connection_with_it(
    own_redis: RedisServer,
) -> None:
    admin = own_redis.client()
    async with open_link(quick(own_redis)) as link:

        async def wait_for_a_push() -> None:
            await link.call_waiting(lambda client: client.blpop(["{mutt}:list"], 30), wait_s=30)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_a_push)
            await wait_until_blocked(admin, 1)
            own_redis.suspend()
            with trio.fail_after(LATE_S):
                nursery.cancel_scope.cancel()
                await trio.lowlevel.checkpoint_if_cancelled()
        own_redis.resume()
        await wait_until_blocked(admin, 0)
        admin.rpush("{mutt}:list", "still there")
        assert admin.lpop("{mutt}:list") == "still there"
    admin.close()


async def wait_until_blocked(admin: redis.Redis, count: int) -> None:
    async def is_so() -> bool:
        clients = await trio.to_thread.run_sync(lambda: admin.info("clients"))
        return bool(clients["blocked_clients"] == count)

    await wait_until(is_so)


async def test_a_caller_that_is_cancelled_meanwhile_still_learns_what_was_done(
    own_redis: RedisServer,
) -> None:
    admin = own_redis.client()
    learned: list[object] = []
    async with open_link(quick(own_redis)) as link:

        async def pop() -> None:
            learned.append(await link.call(lambda client: client.blpop(["{mutt}:list"], 30)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pop)
            await wait_until_blocked(admin, 1)
            nursery.cancel_scope.cancel()
            admin.rpush("{mutt}:list", "done")
    assert learned == [(b"{mutt}:list", b"done")]
    admin.close()


async def test_a_loop_of_calls_can_be_cancelled(own_redis: RedisServer) -> None:
    async with open_link(quick(own_redis)) as link:
        with trio.move_on_after(0.1) as scope:
            while True:
                await link.call(put)
        assert scope.cancelled_caught


async def test_the_next_password_is_tried_and_a_change_needs_no_restart() -> None:
    with redis_server(RedisSetup(users=(USER,))) as server, server.client() as admin:
        async with open_link(quick(server, "new-secret", "old-secret")) as link:
            assert await link.call(put) == 1
            admin.execute_command("ACL", "SETUSER", "mutt", "<old-secret", ">new-secret")
            admin.execute_command("CLIENT", "KILL", "USER", "mutt")
            assert await link.call(put) == 2


async def test_a_wrong_password_is_said_clearly_and_mended_while_we_run() -> None:
    with redis_server(RedisSetup(users=(USER,))) as server, server.client() as admin:
        async with open_link(quick(server, "wrong1", "wrong2")) as link:
            said = await refusal_of(link)
            assert "refuses our user name or password" in said
            assert "wrong" not in said
            admin.execute_command("ACL", "SETUSER", "mutt", ">wrong2")
            assert await link.call(put) == 1


async def test_a_redis_that_wants_a_password_from_us_says_so() -> None:
    with redis_server(RedisSetup(users=(USER,))) as server:
        async with open_link(quick(server)) as link:
            assert "it wants a password" in await refusal_of(link)


async def test_nothing_that_may_be_printed_shows_a_password() -> None:
    with redis_server(RedisSetup(users=(USER,))) as server:
        async with open_link(quick(server, "next-secret", "old-secret")) as link:
            shown = await link.call_session(lambda session, _: repr(session) + repr(session.client))
            assert "secret" not in f"{shown} {link!r} {link.options!r} {link.options}"
            assert str(server.port) in shown


async def test_a_missing_permission_is_said_clearly_and_mended_while_we_run() -> None:
    user = "mutt on >old-secret ~other:* +@all -@dangerous +info"
    with redis_server(RedisSetup(users=(user,))) as server, server.client() as admin:
        async with open_link(quick(server, "old-secret")) as link:
            assert "lacks a permission" in await refusal_of(link)
            admin.execute_command("ACL", "SETUSER", "mutt", "~{mutt}:*")
            assert await link.call(put) == 1


async def test_tls_takes_a_known_authority_and_shows_our_certificate(
    certificates: Certificates,
) -> None:
    ca, client = certificates.ca, certificates.client
    with redis_server(RedisSetup(tls=certificates)) as server:
        for tls, is_right in [
            (RedisTls(ca, client.cert, client.key), True),
            (RedisTls(ca), False),
            (RedisTls(), False),
            (RedisTls(client.cert, client.cert, client.key), False),
            (RedisTls(Path("/nonexistent"), client.cert, client.key), False),
        ]:
            async with open_link(RedisOptions.from_url(server.url(), tls=tls)) as link:
                if is_right:
                    assert await link.call(put) == 1
                else:
                    await refusal_of(link)


async def test_a_clear_text_url_does_not_reach_a_tls_server(certificates: Certificates) -> None:
    with redis_server(RedisSetup(tls=certificates)) as server:
        url = server.url().replace("rediss:", "redis:")
        async with open_link(RedisOptions.from_url(url)) as link:
            await refusal_of(link)


async def test_a_replica_is_not_taken_for_the_primary(own_redis: RedisServer) -> None:
    with replica_of(own_redis) as replica:
        async with open_link(quick(replica)) as link:
            assert "is a replica" in await refusal_of(link)


async def test_a_primary_that_becomes_a_replica_is_left_until_it_is_one_again(
    own_redis: RedisServer,
) -> None:
    with replica_of(own_redis) as other, own_redis.client() as admin:
        async with open_link(quick(own_redis)) as link:
            await link.call(put)
            admin.replicaof("127.0.0.1", str(other.port))
            assert await refusal_of(link)
            assert "is a replica" in await refusal_of(link)
            admin.replicaof("NO", "ONE")
            assert await link.call(put) == 2


async def test_a_server_that_is_too_old_is_named_with_its_version() -> None:
    with server_that_says(b"redis_version:6.2.14\r\nrole:master\r\n") as port:
        async with open_link(RedisOptions.from_url(f"redis://127.0.0.1:{port}")) as link:
            assert "Redis 6.2.14; 7.0 or newer is needed" in await refusal_of(link)


@contextmanager
def server_that_says(info: bytes) -> Iterator[int]:
    """Answers the one command it gets with this text."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"$%d\r\n%b\r\n" % (len(info), info))
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


async def test_new_passwords_are_for_the_next_connection() -> None:
    with redis_server(RedisSetup(users=(USER,))) as server:
        async with open_link(quick(server, "old-secret")) as link:
            assert await link.call(put) == 1
            link.use_logins(quick(server, "new-secret"))
            # It stands already.
            assert await link.call(put) == 2
            with server.client() as admin:
                admin.execute_command("ACL", "SETUSER", "mutt", "resetpass", ">new-secret")
            link.forget_primary()
            assert await link.call(put) == 3


async def test_a_held_connection_stays_the_same_until_it_ends(own_redis: RedisServer) -> None:
    async with open_link(quick(own_redis)) as link, link.hold() as session:
        own_id = await session.call(lambda client: client.client_id())
        assert await link.call(lambda client: client.client_id()) != own_id
        assert await session.call(lambda client: client.client_id()) == own_id
        with own_redis.client() as admin:
            admin.client_kill_filter(_id=str(own_id))
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await session.call(put)
        assert await link.call(put) == 1


async def test_sentinels_over_tls_with_users_lead_to_the_primary_even_when_one_is_down(
    certificates: Certificates,
) -> None:
    setup = RedisSetup(
        tls=certificates,
        users=(USER,),
        sentinel_users=("watcher on >watcher-secret -@all +auth +sentinel|master",),
    )
    tls = RedisTls(certificates.ca, certificates.client.cert, certificates.client.key)
    with sentinel_set(setup, replicas=1) as redis_set:
        options = RedisOptions.from_url(
            redis_set.url(),
            login=RedisLogin("mutt", ("old-secret",)),
            sentinel_login=RedisLogin("watcher", ("next", "watcher-secret")),
            tls=tls,
        )
        async with open_link(options) as link:
            assert await link.call(put) == 1
            redis_set.sentinels[0].kill()
            link.forget_primary()
            assert await link.call(put) == 2
            await trio.to_thread.run_sync(redis_set.sentinels[0].start)
        wrong = replace(options, sentinel_login=RedisLogin(ADMIN, ("no" + ADMIN_PASSWORD,)))
        async with open_link(wrong) as link:
            said = await refusal_of(link)
            assert "no sentinel knows the primary" in said
            assert ADMIN_PASSWORD not in said
        async with open_link(replace(options, service="other")) as link:
            assert "No such master" in await refusal_of(link)
