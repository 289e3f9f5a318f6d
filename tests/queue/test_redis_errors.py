"""muttd/queue/redis_errors.py: every error that Redis can answer with, and what it means."""

from __future__ import annotations

import pytest
import redis
from redis._parsers.base import BaseParser

from muttd.errors import StoreError, StoreRefused, StoreUnavailable
from muttd.queue.redis_errors import is_connection_fault, translated

NOT_NOW = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "OOM command not allowed when used memory > 'maxmemory'. script: 0, on @user_script:4.",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNKILLABLE Sorry the script already executed write commands",
    "BUSY Redis is busy running a script.",
    "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'xadd' command",
    "ERR max number of clients reached",
    "ERR No such master with that name",
    "ERR something that nobody has thought of",
]
NEVER = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "MOVED 3999 127.0.0.1:6381",
    "CROSSSLOT Keys in request don't hash to the same slot",
]


def translation_of(exc: Exception) -> StoreError:
    with pytest.raises(StoreError) as caught, translated("Redis (db1:6379)"):
        raise exc
    assert caught.value.__cause__ is exc
    return caught.value


def reply(text: str) -> Exception:
    """The exception that redis-py makes of an error reply."""
    exc: Exception = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]  # redis-py's
    return exc


@pytest.mark.parametrize("text", NOT_NOW, ids=lambda text: text.split()[0])
def test_what_may_pass_is_unavailable(text: str) -> None:
    error = translation_of(reply(text))
    assert type(error) is StoreUnavailable
    assert str(error).startswith("Redis (db1:6379): ")
    assert text.partition(" ")[2] in str(error)


@pytest.mark.parametrize("text", NEVER, ids=lambda text: text.split()[0])
def test_what_comes_again_until_somebody_changes_something_is_refused(text: str) -> None:
    assert type(translation_of(reply(text))) is StoreRefused


@pytest.mark.parametrize("kind", [redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse])
def test_a_connection_that_fails_is_unavailable(kind: type[redis.RedisError]) -> None:
    assert type(translation_of(kind("gone"))) is StoreUnavailable
    assert str(translation_of(kind())) == f"Redis (db1:6379): {kind.__name__}"


def test_an_operator_is_told_what_to_mend() -> None:
    assert "password" in str(translation_of(reply(NOT_NOW[11])))
    assert "permission" in str(translation_of(reply(NOT_NOW[12])))
    assert "out of memory" in str(translation_of(reply(NOT_NOW[4])))


def test_what_redis_py_cannot_send_is_a_bug_of_ours() -> None:
    with pytest.raises(redis.DataError), translated("Redis"):
        raise redis.DataError("not octets")


@pytest.mark.parametrize("text", [*NOT_NOW[:4], NOT_NOW[6], *NOT_NOW[10:13]])
def test_a_server_that_is_no_primary_or_denies_us_is_left(text: str) -> None:
    exc = reply(text)
    assert isinstance(exc, redis.RedisError)
    assert is_connection_fault(exc)


@pytest.mark.parametrize("text", [NOT_NOW[4], NOT_NOW[5], NEVER[0]])
def test_a_connection_survives_an_answer_about_one_command(text: str) -> None:
    exc = reply(text)
    assert isinstance(exc, redis.RedisError)
    assert not is_connection_fault(exc)
