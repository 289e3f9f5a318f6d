"""Flood a daemon with numbered syslog datagrams and account for every one of them.

    python bench/udp_conservation.py [--count 200000] [--rate 20000]

Starts a daemon on a directory of its own, sends, waits until it is idle, and prints
sent = received + kernel drops, and received = stored, by sequence number, with CPU seconds.
Exits 1 when an equation does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

_LISTENING = re.compile(r"(\w+): listening on \S+:(\d+)")
_BURST_S = 0.005


def start(state_dir: Path, **environ: str) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """A daemon on ports that the kernel chose."""
    names = ("MUTTD_SYSLOG_UDP", "MUTTD_SYSLOG_TCP", "MUTTD_SNMP_UDP", "MUTTD_HTTP")
    process = subprocess.Popen(
        [sys.executable, "-m", "muttd", "run"],
        env={
            "PATH": os.environ["PATH"],
            "MUTTD_STATE_DIR": str(state_dir),
            **dict.fromkeys(names, "[::]:0"),
            **environ,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    ports = {}
    for line in process.stderr:
        if found := _LISTENING.search(line):
            ports[found[1]] = int(found[2])
        if " is ready" in line:
            return process, ports
    raise SystemExit("the daemon did not start")


def status(ports: dict[str, int], state_dir: Path) -> dict[str, Any]:
    """The status document."""
    key = (state_dir / "admin.key").read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{ports['http']}/api/v2/status", headers={"X-API-KEY": key}
    )
    with urllib.request.urlopen(request) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def send(port: int, count: int, rate: int) -> float:
    """Send numbered datagrams in small bursts; the seconds it took."""
    per_burst = max(1, int(rate * _BURST_S))
    started = time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for first in range(0, count, per_burst):
            for number in range(first, min(first + per_burst, count)):
                sock.send(
                    b"<189>Oct 11 22:14:15 sw%d app[%d]: number=%d interface changed state to up, "
                    b"and some more words to make it as long as such lines are on the wire"
                    % (number % 50, number % 1000, number)
                )
            ahead_s = (first + per_burst) / rate - (time.perf_counter() - started)
            if ahead_s > 0:
                time.sleep(ahead_s)
    return time.perf_counter() - started


def cpu_s(pid: int) -> float:
    """CPU seconds that a process used, from proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=20_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        state_dir = Path(directory)
        process, ports = start(state_dir)
        before_s = cpu_s(process.pid)
        took_s = send(ports["syslog_udp"], args.count, args.rate)
        sent_at = time.perf_counter()
        while True:
            document = status(ports, state_dir)
            row = next(each for each in document["listeners"] if each["name"] == "syslog_udp")
            done = row["received"] + row["kernel_dropped"] >= args.count
            if done and not document["queue"]["ingest"]["items"]:
                break
            if time.perf_counter() - sent_at > 60:
                break
            time.sleep(0.2)
        drained_s = time.perf_counter() - sent_at
        used_s = cpu_s(process.pid) - before_s
        process.terminate()
        process.wait()
        with sqlite3.connect(state_dir / "store.db") as store:
            messages = [text for (text,) in store.execute("SELECT message FROM event_history")]
    numbers = [int(text.partition("=")[2].partition(" ")[0]) for text in messages]
    print(f"sent            {args.count} in {took_s:.1f} s ({args.count / took_s:.0f}/s)")
    print(f"received        {row['received']}")
    print(f"kernel dropped  {row['kernel_dropped']}")
    print(f"dropped         {row['dropped']}")
    print(f"stored          {len(numbers)}, distinct {len(set(numbers))}")
    print(f"drained         {drained_s:.1f} s after the last was sent")
    print(f"CPU             {used_s * 1e5 / args.count:.2f} s per 100 000 events")
    held = (
        row["received"] + row["kernel_dropped"] == args.count
        and len(numbers) == len(set(numbers)) == row["received"] - row["dropped"]
    )
    print("every message is accounted for" if held else "THE EQUATIONS DO NOT HOLD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
