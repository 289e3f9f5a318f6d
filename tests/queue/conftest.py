"""One real Redis for all tests of what is on Redis; a prefix of its own for each."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from servers.redis_server import RedisServer, redis_server

from muttd.queue.redis_link import RedisLink, open_link
from muttd.queue.redis_options import RedisOptions

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A Redis that no test stops."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_options(shared_redis: RedisServer) -> RedisOptions:
    options = RedisOptions.from_url(shared_redis.url())
    return replace(options, prefix=f"test-{next(_numbers)}")


@pytest.fixture
async def link(redis_options: RedisOptions) -> AsyncIterator[RedisLink]:
    async with open_link(redis_options) as link:
        yield link


@pytest.fixture
async def other_link(redis_options: RedisOptions) -> AsyncIterator[RedisLink]:
    """Another daemon's way to the same keys."""
    async with open_link(redis_options) as link:
        yield link
