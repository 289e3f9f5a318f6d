"""A real embedded queue and store for the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from muttd.accounts import Accounts
from muttd.queue.contract import Queue, Stream
from muttd.queue.sqlite import open_queue
from muttd.store.contract import Store
from muttd.store.sqlite import open_store


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(
        tmp_path / "queue.db", limits={Stream.INGEST: 1000, Stream.ALERT: 1000}
    ) as queue:
        yield queue


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as store:
        yield store


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def accounts(registry: CollectorRegistry) -> Accounts:
    return Accounts(registry)
