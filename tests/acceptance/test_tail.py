"""`muttd tail` as a process, in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from running_daemon import RunningDaemon, eventually

pytestmark = pytest.mark.acceptance


def test_tail_ends_when_its_reader_has_gone(start_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = start_daemon()
    tail = subprocess.Popen(
        [sys.executable, "-m", "muttd", "tail", "--url", daemon.url],
        env={"PATH": os.environ["PATH"], "MUTTD_STATE_DIR": str(daemon.state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert tail.stdout is not None
    with daemon.client() as client:

        def viewers() -> bool:
            return "muttd_live_viewers 1.0" in client.get("/metrics").text

        eventually(viewers)
    daemon.post("/ingest", {"message": "first", "hostname": "h"})
    assert "first" in tail.stdout.readline()
    tail.stdout.close()
    for n in range(100):
        daemon.post("/ingest", {"message": f"nobody reads {n}", "hostname": "h"})
        if tail.poll() is not None:
            break
    assert tail.wait(10) is not None


def test_tail_ends_with_its_reader_even_when_nothing_comes(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    daemon = start_daemon()
    tail = subprocess.Popen(
        [sys.executable, "-m", "muttd", "tail", "--url", daemon.url],
        env={"PATH": os.environ["PATH"], "MUTTD_STATE_DIR": str(daemon.state_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    tail.stdout.close()
    assert tail.wait(10) == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == ""
    tail.stderr.close()
