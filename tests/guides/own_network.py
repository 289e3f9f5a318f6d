"""A network of our own, with loopback alone: the pages' own ports are free in it.

    with own_network() as network, network.daemon(state) :
        GuideShell(prefix=network.prefix, ...).run(block)      http://localhost:8080 is that daemon

Needs root, as making a network namespace does (ip-netns(8)).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_daemon import eventually

_IS_ABLE = os.geteuid() == 0 and shutil.which("nsenter") is not None
needs_own_network = pytest.mark.skipif(
    not _IS_ABLE and "nspawn" not in os.environ.get("MUTTD_TEST_REQUIRE", "").split(","),
    reason="making a network namespace needs root and nsenter (util-linux)",
)


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """The namespace.

    Attributes:
        prefix: Before a command, to run it in there.
    """

    prefix: tuple[str, ...]

    @contextmanager
    def process(
        self, command: str, log: Path, environ: Mapping[str, str], cwd: Path | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a shell command until the block ends; what it says is in the log."""
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*self.prefix, "bash", "-c", f"exec env {command}"],
                env={"PATH": os.environ["PATH"], **environ},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)

    @contextmanager
    def daemon(
        self, state: Path, log: Path, *, command: str = f"{sys.executable} -m muttd run"
    ) -> Iterator[None]:
        """Run the daemon on the ports that are its defaults, and wait until it is ready."""
        environ = {"MUTTD_STATE_DIR": str(state), "HOME": str(log.parent)}
        with self.process(command, log, environ) as process:
            eventually(lambda: process.poll() is not None or " is ready" in log.read_text())
            assert process.poll() is None, log.read_text()
            yield


@contextmanager
def own_network() -> Iterator[OwnNetwork]:
    """Make one, and unmake it."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        yield OwnNetwork(("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"))
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
