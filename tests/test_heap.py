"""What a peak took is the kernel's again."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, whose heap nobody else is at work in. Pieces below the size that malloc
# maps apart, and the last one stays: what lies below it is kept unless it is asked for.
_PEAK = """
import re
from pathlib import Path
from muttd import heap

def mib() -> int:
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

pieces = [bytes(60_000) + b"x" for _ in range(2000)]
del pieces[:-1]
kept = mib()
heap.give_back()
print(kept - mib())
"""


def test_what_was_freed_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) > 100
