"""The benches as fixtures: every test here runs once for each backend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bench import BENCHES, STORE_BENCHES, Bench, StoreBench
from muttd.queue.contract import Queue
from muttd.store.contract import Store


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with request.param() as bench:
        yield bench


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return bench.queue


@pytest.fixture(params=STORE_BENCHES)
async def store_bench(request: pytest.FixtureRequest) -> AsyncIterator[StoreBench]:
    async with request.param() as store_bench:
        yield store_bench


@pytest.fixture
def store(store_bench: StoreBench) -> Store:
    return store_bench.store
