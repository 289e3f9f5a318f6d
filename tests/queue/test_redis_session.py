"""muttd/queue/redis_session.py: a connection is closed by the thread that uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import redis

from muttd.queue.redis_session import Attempt, OnceConnection


class Ends:
    """A connection on one end of a pair of sockets."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.connection = OnceConnection(host="127.0.0.1", port=1)
        self.connection._sock = self.ours  # type: ignore[assignment]  # redis-py says None

    @property
    def is_closed(self) -> bool:
        return self.ours.fileno() == -1


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.ours.close()
    ends.theirs.close()


def test_a_connection_that_nobody_uses_is_closed_at_once(ends: Ends) -> None:
    ends.connection.retire()
    assert ends.is_closed
    assert ends.theirs.recv(1) == b""


def test_a_connection_in_use_is_shut_down_and_closed_by_who_uses_it(ends: Ends) -> None:
    """Its number must not be another socket's while OpenSSL may still read from it."""
    attempt = Attempt(1.0)
    attempt.use(ends.connection)
    attempt.end()
    assert not ends.is_closed
    # Whoever waits for an answer has one: the end of the stream.
    assert (ends.ours.recv(1), ends.theirs.recv(1)) == (b"", b"")
    with pytest.raises(redis.ConnectionError):
        ends.connection.send_packed_command(b"PING")
    attempt.leave()
    assert ends.is_closed


def test_an_attempt_that_is_over_has_no_power_over_what_it_left(ends: Ends) -> None:
    attempt = Attempt(1.0)
    attempt.use(ends.connection)
    attempt.leave()
    attempt.end()
    ends.ours.send(b"x")
    assert ends.theirs.recv(1) == b"x"


def test_an_attempt_that_was_ended_can_use_no_other(ends: Ends) -> None:
    attempt = Attempt(1.0)
    attempt.end()
    attempt.use(ends.connection)
    assert ends.theirs.recv(1) == b""
    attempt.leave()
    assert ends.is_closed


def test_going_on_to_another_leaves_the_first(ends: Ends) -> None:
    other = Ends()
    attempt = Attempt(1.0)
    attempt.use(ends.connection)
    ends.connection.retire()
    attempt.use(other.connection)
    assert ends.is_closed
    assert not other.is_closed
    attempt.leave()
    other.connection.retire()
    assert other.is_closed
    other.theirs.close()
