"""What tests of the whole daemon share."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, scripted_webhook
from servers.certificates import TlsParty, make_party

StartDaemon = Callable[..., RunningDaemon]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs in script/test --nightly alone, and is not counted as skipped."""
    if os.environ.get("MUTTD_TEST_NIGHTLY") == "1":
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    config.hook.pytest_deselected(items=nightly)
    items[:] = [item for item in items if item not in nightly]


@pytest.fixture
def launch_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    """Start daemons that may never be ready, as one that has to refuse; none outlives the test."""
    started: list[RunningDaemon] = []

    def launch(
        state_dir: Path | None = None, *, passed: Sequence[socket.socket] = (), **environ: str
    ) -> RunningDaemon:
        daemon = RunningDaemon(state_dir or tmp_path / "state", environ, passed=passed)
        started.append(daemon)
        return daemon

    yield launch
    for daemon in started:
        daemon.kill()


@pytest.fixture
def start_daemon(launch_daemon: StartDaemon) -> StartDaemon:
    """Start daemons, on one state directory unless told otherwise; none outlives the test."""

    def start(state_dir: Path | None = None, **environ: str) -> RunningDaemon:
        return launch_daemon(state_dir, **environ).wait_ready()

    return start


@pytest.fixture
def webhook() -> Iterator[ScriptedWebhook]:
    """A webhook that takes everything until told otherwise."""
    with scripted_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="session")
def tls_party(tmp_path_factory: pytest.TempPathFactory) -> TlsParty:
    """Certificates of a server, of good senders and of bad ones."""
    return make_party(tmp_path_factory.mktemp("tls"))
