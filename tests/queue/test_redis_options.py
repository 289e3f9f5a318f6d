"""muttd/queue/redis_options.py, redis_keys.py."""

from __future__ import annotations

import pytest

from muttd.queue.redis_keys import RedisKeys
from muttd.queue.redis_options import RedisLogin, RedisMode, RedisOptions, RedisTls


@pytest.mark.parametrize(
    ("url", "servers", "db"),
    [
        ("redis://db1", (("db1", 6379),), 0),
        ("redis://db1:7000/3", (("db1", 7000),), 3),
        ("redis://[2001:db8::7]:7000", (("2001:db8::7", 7000),), 0),
        ("rediss://192.0.2.1/", (("192.0.2.1", 6379),), 0),
    ],
)
def test_a_url_of_one_server_names_it(
    url: str, servers: tuple[tuple[str, int], ...], db: int
) -> None:
    options = RedisOptions.from_url(url)
    assert (options.mode, options.servers, options.db) == (RedisMode.STANDALONE, servers, db)
    assert options.is_tls == url.startswith("rediss")


def test_a_url_of_sentinels_names_all_of_them_and_the_service() -> None:
    options = RedisOptions.from_url("rediss+sentinel://a:1,b,[::1]:3/my%20master/5")
    assert options.mode is RedisMode.SENTINEL
    assert options.servers == (("a", 1), ("b", 26379), ("::1", 3))
    assert (options.service, options.db, options.is_tls) == ("my master", 5, True)


def test_the_user_of_the_url_is_the_one_at_redis() -> None:
    options = RedisOptions.from_url("redis+sentinel://m%40u:p@ss:w%2Frd@a/mymaster")
    assert options.login == RedisLogin("m@u", ("p@ss:w/rd",))
    assert options.sentinel_login == RedisLogin()
    assert RedisOptions.from_url("redis://:secret@a").login == RedisLogin(None, ("secret",))


def test_what_is_beside_the_url_wins_over_what_is_in_it() -> None:
    login, tls = RedisLogin("other", ("new", "old")), RedisTls()
    options = RedisOptions.from_url("redis://mutt:p@a", login=login, tls=tls)
    assert (options.login, options.tls) == (login, tls)
    mixed = RedisOptions.from_url("redis://mutt@a", login=RedisLogin("", ("new",)))
    assert mixed.login == RedisLogin("mutt", ("new",))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a",
        "redis:a",
        "redis://",
        "redis://secret@",
        "redis://a:0",
        "redis://a:65536",
        "redis://a:b:c",
        "redis://a,b",
        "redis://a/x",
        "redis://a/-1",
        "redis://a/٣",
        "redis://a/1?x=secret",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a,,b/m",
    ],
)
def test_a_bad_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        RedisOptions.from_url(url)
    assert "secret" not in str(refusal.value)


def test_no_text_of_the_options_shows_a_password() -> None:
    options = RedisOptions.from_url(
        "redis+sentinel://mutt:hidden1@a/m",
        sentinel_login=RedisLogin("mutt", ("hidden2", "hidden3")),
    )
    assert "hidden" not in f"{options!r} {options}"
    assert str(options) == "Redis (m of the sentinels a:26379)"
    assert str(RedisOptions.from_url("redis://[::1]")) == "Redis ([::1]:6379)"


def test_all_keys_share_the_prefix_and_the_hash_tag() -> None:
    keys = RedisKeys("site1").all()
    assert len(keys) == len(set(keys)) == 29
    assert all(key.startswith("{site1}:") for key in keys)
