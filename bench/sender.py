"""wire_load.py as a process, and what it wrote down."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOAD = Path(__file__).with_name("wire_load.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be sent: input, count and rate as in wire_load.py.

    Attributes:
        port: On 127.0.0.1.
        key: For HTTP.
        ca: Who vouches for the other side, with TLS.
        ports: Source ports of datagrams.
    """

    input: str
    port: int
    count: int
    rate: int
    key: str = ""
    ca: Path | None = None
    ports: int = 1


def send(order: Order, begin: Callable[[], None]) -> dict[str, Any]:
    """Send all of it.

    Args:
        begin: Called when everything is made and connected, right before the first is sent.
    """
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        command = [sys.executable, _LOAD, order.input, f"127.0.0.1:{order.port}", "--log", log]
        command += ["--count", order.count, "--rate", order.rate]
        # In one word, because a key may begin with a hyphen.
        command += [f"--key={order.key}", "--ports", order.ports]
        command += [] if order.ca is None else ["--ca", order.ca]
        with subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            if process.stdout.readline() != "ready\n":
                raise SystemExit("the sender did not get ready")
            begin()
            process.stdin.write("go\n")
            process.stdin.flush()
        told: dict[str, Any] = json.loads(log.read_text())
    return told
