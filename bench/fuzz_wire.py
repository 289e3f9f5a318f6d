"""Damaged input by the million against the parsers, as the listeners call them.

    PYTHONPATH=tests python bench/fuzz_wire.py [--count 1000000] [--seed 1]

Everything a parser may raise is a PeerError; anything else ends the run with its traceback and the
octets that did it. Prints the rate and how much memory the run took.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from mutations import SYSLOG, TRAPS, mutated

import muttd.protocol
from muttd.errors import PeerError
from muttd.event import Transport, utc_now
from muttd.event_ids import EventIds
from muttd.listeners.snmp_trap import TrapEvents
from muttd.listeners.syslog_arrivals import SyslogArrivals
from muttd.listeners.udp import Datagram
from muttd.protocol.framing import Framer
from muttd.protocol.mib import TABLE_FILE_NAME, Mib, MibInForce
from muttd.protocol.snmp import parse_notification
from muttd.rules.template import template_of
from muttd.sources import Sources


class Wire:
    """The three ways in, without their sockets."""

    def __init__(self, dice: random.Random) -> None:
        table = Path(muttd.protocol.__file__).with_name(TABLE_FILE_NAME).read_bytes()
        event_ids = EventIds()
        self._dice = dice
        self._syslog = SyslogArrivals(event_ids, Sources(), zone=UTC, max_message_octets=8192)
        self._traps = TrapEvents(event_ids, MibInForce(Mib.from_octets(table)), Sources())

    def datagram(self, octets: bytes, at: datetime) -> None:
        """As the syslog UDP listener."""
        for arrivals in self._syslog.of([octets], ["192.0.2.1"], Transport.SYSLOG_UDP):
            for event in arrivals.events():
                template_of(event.message)

    def trap(self, octets: bytes, at: datetime) -> None:
        """As the SNMP listener."""
        datagram = Datagram(octets, "192.0.2.1", ("192.0.2.1", 162))
        self._traps.of([(parse_notification(octets), datagram)], at)

    def stream(self, octets: bytes, at: datetime) -> None:
        """As the syslog TCP listener, in pieces of any size."""
        framer = Framer(max_frame_octets=8192)
        cut = self._dice.randrange(len(octets) + 1)
        for piece in (octets[:cut], octets[cut:]):
            framer.feed(piece)
            for frame in framer.frames():
                self.datagram(frame, at)
        last = framer.finish()
        if last is not None:
            self.datagram(last, at)


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    wire = Wire(dice)
    framed = tuple(b"%d %s" % (len(each), each) for each in SYSLOG)
    ways = (
        (wire.datagram, SYSLOG),
        (wire.trap, TRAPS),
        (wire.stream, framed + tuple(each + b"\n" for each in SYSLOG)),
    )
    refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    for _ in range(args.count):
        way, corpus = ways[dice.randrange(3)]
        octets = mutated(dice.choice(corpus), dice)
        try:
            way(octets, utc_now())
        except PeerError:
            refused += 1
        except Exception:
            print(f"{way.__name__}: {octets!r}", file=sys.stderr)
            raise
    took_s = time.perf_counter() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{args.count} inputs in {took_s:.0f} s ({args.count / took_s:.0f}/s), {refused} refused")
    print(f"nothing but PeerError; resident set grew by {grown / 1024:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
