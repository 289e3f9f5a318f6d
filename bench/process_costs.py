"""What processes use, from proc(5): CPU time with their children, and memory."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its children and theirs, those included that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # utime, stime, cutime, cstime
    total = sum(map(int, fields[11:15])) / _TICKS_PER_S
    for child in _children(pid):
        try:
            total += cpu_s(child)
        except FileNotFoundError:
            # It has just ended: its parent has its time.
            continue
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listed.read_text().split())
        except FileNotFoundError:
            continue
    return found


def busy_s() -> float:
    """CPU seconds that all of the machine has spent since it started, on anything."""
    # user nice system idle iowait irq softirq steal
    fields = [int(field) for field in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS_PER_S


def peak_mib(pid: int) -> float:
    """The largest resident set that a process has had."""
    return _status_mib(pid, "VmHWM:")


def resident_mib(pid: int) -> float:
    """The resident set of a process."""
    return _status_mib(pid, "VmRSS:")


def _status_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {name}")


def load_average() -> str:
    """What else the machine does."""
    return " ".join(Path("/proc/loadavg").read_text().split()[:3])
