"""Two daemons on real Redis with sentinels and real PostgreSQL with a standby."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_stack import Cluster, Stack, make_rules, running_stack
from running_daemon import ScriptedWebhook


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The servers, empty."""
    directory = tmp_path / "stack"
    directory.mkdir()
    with running_stack(directory) as stack:
        yield stack


@pytest.fixture
def site(tmp_path: Path, stack: Stack, webhook: ScriptedWebhook) -> Iterator[Cluster]:
    """The servers, and no daemon yet."""
    settings = {"MUTTD_QUEUE_CLAIM_IDLE_S": "4", "MUTTD_DRAIN_S": "10"}
    cluster = Cluster(directory=tmp_path, servers=stack, webhook=webhook, settings=settings)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(site: Cluster) -> Cluster:
    """Two daemons that are ready, and rules."""
    for name in ("alpha", "beta"):
        site.start(name).wait_ready()
    make_rules(site.daemons)
    return site
