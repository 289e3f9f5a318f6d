"""rsyslog sends lines by mutual TLS; every one is stored, in order, as it was sent.

    PYTHONPATH=.:tests python bench/rsyslog_tls.py [LINES]

Meanwhile a second rsyslog knocks with a certificate that nobody vouches for. Exits 1 when anything
is missing, out of order or changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from running_daemon import RunningDaemon, eventually
from servers.certificates import make_party
from servers.rsyslog_sender import a_line, is_as_sent, rsyslog_sender
from udp_conservation import cpu_s


def main() -> int:
    """Run it once."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        party = make_party(directory)
        daemon = RunningDaemon(
            directory / "state",
            {
                "MUTTD_TLS_CERT": str(party.server.cert),
                "MUTTD_TLS_KEY": str(party.server.key),
                "MUTTD_TLS_CA": str(party.ca.cert),
                "MUTTD_SYSLOG_TLS": "[::]:0",
                "MUTTD_SYSLOG_TLS_CLIENT_CERT": "required",
            },
        ).wait_ready()
        port = daemon.ports["syslog_tls"]
        pid = daemon.process.pid
        try:
            with (
                rsyslog_sender(directory / "good", port, party.ca, party.sender) as good,
                rsyslog_sender(directory / "bad", port, party.ca, party.stranger) as bad,
            ):
                bad.send(["<13>1 - bad - - - - never to be seen"])
                before_s, started = cpu_s(pid), time.perf_counter()
                good.send(map(a_line, range(count)))
                row = eventually(
                    lambda: daemon.listener("syslog_tls"),
                    lambda row: row["queued"] >= count,
                    within_s=600,
                )
                took_s = time.perf_counter() - started
                daemon.wait_idle()
                used_s = cpu_s(pid) - before_s
            stored = list(daemon.all_events())
            wrong = sum(not is_as_sent(e, n) for n, e in enumerate(reversed(stored)))
        finally:
            daemon.kill()
    print(f"queued   {row['queued']} of {count} in {took_s:.1f} s ({count / took_s:,.0f}/s)")
    print(f"CPU      {used_s * 1e5 / count:.2f} s per 100 000 events, on {os.cpu_count()} cores")
    print(f"stored   {len(stored)}, out of order or changed: {wrong}")
    return 0 if len(stored) == count and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
