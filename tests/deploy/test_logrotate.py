"""etc/logrotate/muttd, run by the real logrotate under a daemon that logs all the while."""

from __future__ import annotations

import grp
import gzip
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, eventually

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        shutil.which("logrotate") is None
        and "logrotate" not in os.environ.get("MUTTD_TEST_REQUIRE", "").split(","),
        reason="logrotate is not installed (Debian: apt-get install logrotate)",
    ),
]

SHIPPED = Path(__file__).parents[2] / "etc" / "logrotate" / "muttd"


def a_line_each(daemon: RunningDaemon, count: int) -> None:
    for _ in range(count):
        more = len(daemon.log) + 1
        daemon.process.send_signal(signal.SIGUSR1)
        eventually(lambda: len(daemon.log), more.__le__)


def rotate(directory: Path, *options: str) -> None:
    """With our own user instead of mutt, and our own directory."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(os.getegid()).gr_name
    text = SHIPPED.read_text().replace("mutt mutt", f"{user} {group}")
    (directory / "conf").write_text(text.replace("/var/log/mutt", str(directory / "log")))
    (directory / "conf").chmod(0o644)
    done = subprocess.run(
        ["logrotate", *options, "-s", directory / "status", directory / "conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def lines_of(path: Path) -> list[str]:
    octets = path.read_bytes()
    return (gzip.decompress(octets) if path.suffix == ".gz" else octets).decode().splitlines()


def test_every_line_is_in_one_of_the_files_once(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir(mode=0o750)
    log = tmp_path / "log" / "muttd.log"
    daemon = start_daemon(MUTTD_LOG_FILE=str(log))
    for _ in range(3):
        a_line_each(daemon, 5)
        rotate(tmp_path, "--force")
        a_line_each(daemon, 5)
    assert daemon.terminate() == 0
    written = sorted(path.name for path in log.parent.iterdir())
    assert written == ["muttd.log", "muttd.log.1", "muttd.log.2.gz", "muttd.log.3.gz"]
    rotated = [log.parent / name for name in reversed(written)]
    assert [line for path in rotated for line in lines_of(path)] == daemon.log
    assert log.stat().st_mode & 0o777 == 0o640
    # Where MUTTD_LOG_FILE is not set there is nothing to rotate, and nothing to complain about.
    shutil.rmtree(log.parent)
    log.parent.mkdir(mode=0o750)
    rotate(tmp_path, "--force")
