"""A sender for hours, in a process of its own: numbered datagrams, made as they are sent.

    python bench/soak_load.py 127.0.0.1:5514 --rate 2000 --seconds 300 --marks FILE \
        [--hosts 10000 --templates 1000000]

Every hundredth of a second some of them, each time from another of some source ports; when, as a
double, is added to the file of marks: mark n is that of the numbers from n * CHUNK on, of which the
first line of its output tells the CHUNK. Ends early when its input ends.

As they are: the mix of wire_load.py. With --templates: so many, no two of which are alike, from so
many host names, in turn.
"""

from __future__ import annotations

import argparse
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from wire_load import syslog_octets

MARK = struct.Struct("d")
_PACE_S = 0.01
_SOURCE_PORTS = 64
# Words of letters: a number would be masked, and all of them one template.
_LETTERS = str.maketrans("0123456789", "abcdefghij")


def many(hosts: int, templates: int) -> Callable[[int], bytes]:
    """Makes messages of so many templates from so many hosts."""

    def encode(number: int) -> bytes:
        word = f"{number % templates:09}".translate(_LETTERS)
        return b"<13>1 - h%d app - - - nobody said %s before seq=%09d" % (
            number % hosts,
            word.encode(),
            number,
        )

    return encode


def main() -> None:
    """Send until the time is over or the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--marks", type=Path, required=True)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--templates", type=int, default=0)
    args = parser.parse_args()
    host, _, port = args.target.rpartition(":")
    encode = many(args.hosts, args.templates) if args.templates else syslog_octets
    chunk = max(1, round(args.rate * _PACE_S))
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_SOURCE_PORTS)]
    for sock in socks:
        sock.connect((host, int(port)))
    print(chunk, flush=True)
    started = time.time()
    with args.marks.open("ab", buffering=0) as marks:
        for place in range(round(args.rate * args.seconds / chunk)):
            ahead_s = started + place * chunk / args.rate - time.time()
            if select.select([sys.stdin], [], [], max(0.0, ahead_s))[0]:
                return
            send = socks[place % len(socks)].send
            marks.write(MARK.pack(time.time()))
            for number in range(place * chunk, (place + 1) * chunk):
                send(encode(number))


if __name__ == "__main__":
    main()
