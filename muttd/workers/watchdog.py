"""The watchdog: systemd hears of us only while the pipeline gets on (sd_watchdog_enabled(3)).

    every pulse beats or rests  ->  WATCHDOG=1, STATUS=...
    one is silent for too long  ->  nothing; systemd kills us and starts us again, nothing is lost

That the event loop turns is not enough: a thread that never returns would stop the pipeline while
the loop turns on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import trio

from muttd.pulse import Pulse

# sd_watchdog_enabled(3) recommends half the time; a third survives one late wake-up.
_TELLINGS = 3
# Without a watchdog only the status line is kept fresh.
_STATUS_INTERVAL_S = 10.0

_log = logging.getLogger(__name__)


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """How long systemd waits for a sign of life, in seconds; None when it does not wait.

    Args:
        environ: WATCHDOG_USEC and WATCHDOG_PID are read.
        pid: Of this process.
    """
    text = environ.get("WATCHDOG_USEC", "")
    if not text.isdigit() or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(text) / 1_000_000 or None


class Watchdog:
    """Tells systemd how we are.

    Args:
        pulses: Of the workers that must get on.
        limit_s: What watchdog_s() said.
        tell: Sends lines to systemd (muttd.notify).
        status: One line for people, as `systemctl status` shows it.
    """

    def __init__(
        self,
        pulses: Sequence[Pulse],
        limit_s: float | None,
        tell: Callable[..., None],
        status: Callable[[], str],
    ) -> None:
        self._pulses = pulses
        self._limit_s = limit_s
        self._tell = tell
        self._status = status
        self._interval_s = _STATUS_INTERVAL_S if limit_s is None else limit_s / _TELLINGS

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self.tell_once()
            await trio.sleep(min(self._interval_s, _STATUS_INTERVAL_S))

    def tell_once(self) -> None:
        """Tell how we are now."""
        lines = [f"STATUS={self._status()}"]
        if self._limit_s is not None:
            stuck = [each for each in self._pulses if each.silent_s > self._limit_s / 2]
            if not stuck:
                lines.append("WATCHDOG=1")
            for each in stuck:
                _log.critical(
                    "%s made no step for %.0f s; the watchdog is told nothing",
                    each.name,
                    each.silent_s,
                )
        self._tell(*lines)
