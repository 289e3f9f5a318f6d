"""A full disk: intake is held back and says so; what was accepted is not lost; it recovers."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root to mount"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """Use up what is left of a file system; the file that does it."""
    ballast = disk / "ballast"
    # Unbuffered: what does not fit any more must not come up again when the file is closed.
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


def test_a_full_disk_holds_intake_back_and_loses_nothing_accepted(
    start_daemon: Callable[..., RunningDaemon], small_disk: Path
) -> None:
    daemon = start_daemon(small_disk / "state", MUTTD_INTAKE_WAIT_S="0.5")
    before = [f"before {n}" for n in range(50)]
    for text in before:
        daemon.post("/ingest", {"message": text, "hostname": "h"})
    ballast = fill(small_disk)
    accepted, refused = list(before), 0
    with daemon.client("ingest") as client:
        for n in range(400):
            text = f"during {n} " + "x" * 4000
            answer = client.post("/ingest", json={"message": text, "hostname": "h"})
            if answer.status_code == 200:
                accepted.append(text)
                continue
            assert answer.status_code == 503, answer.text
            assert "Retry-After" in answer.headers
            refused += 1
            if refused == 3:
                break
    assert refused == 3
    with socket.create_connection(("127.0.0.1", daemon.ports["syslog_tcp"])) as sock:
        sock.sendall(b"<13>Oct 11 22:14:15 h app: held back\n")
        assert any(
            "disk" in text or "full" in text for text in daemon.get("/api/v2/status")["warnings"]
        )
        with daemon.client() as client:
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        ballast.unlink()
        accepted.append("held back")
        eventually(lambda: daemon.events(q="held back"))
    daemon.wait_idle()
    stored: set[str] = set()
    for text in accepted:
        stored.update(event["message"] for event in daemon.events(q=text[:20]))
    assert set(accepted) <= stored
    eventually(lambda: daemon.get("/api/v2/status")["warnings"], lambda warnings: not warnings)
    assert not any("Traceback" in line for line in daemon.log), daemon.log
