"""A daemon's own clock, by libfaketime: hours that a test cannot wait for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

needs_faketime = pytest.mark.skipif(
    not _LIBRARIES and "faketime" not in os.environ.get("MUTTD_TEST_REQUIRE", ""),
    reason="libfaketime is not installed (Debian: apt-get install faketime)",
)


@dataclass(frozen=True, slots=True)
class FakedClock:
    """The clock of whoever was started with `environ`; the monotonic one goes on as ever."""

    path: Path

    @property
    def environ(self) -> dict[str, str]:
        """What makes a process read it; nothing where there is no libfaketime."""
        if not _LIBRARIES:
            return {}
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            # Seconds: without it the file is read whenever somebody looks at the clock.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_ahead(self, offset: timedelta) -> None:
        """From now on it is ahead of ours by so much."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"+{offset.total_seconds():.0f}\n")
        # Whole at every moment: nobody says when it is read.
        fresh.rename(self.path)
