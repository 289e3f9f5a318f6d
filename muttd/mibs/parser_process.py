"""The process that parses MIBs, for a daemon that must not wait, grow or die of one.

    stdin   length, text     stdout   length, Parsed (MessagePack)     length: four octets

It may use so much memory and CPU time, and when it begins it can open nothing any more: no file, no
socket. Whoever writes a MIB decides about nothing but the names in it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import BinaryIO

import msgspec

from muttd.mibs.module import Parsed
from muttd.mibs.parse import MibParser

# A text of two megabytes needs a tenth of it.
MAX_MEMORY_OCTETS = 1_073_741_824
# The largest MIBs of vendors take four seconds.
MAX_CPU_S = 20
LENGTH_OCTETS = 4
# What the parser has to have seen once: some of its modules are read when first used.
_FIRST_TEXT = """
FIRST-MIB DEFINITIONS ::= BEGIN
IMPORTS enterprises, OBJECT-TYPE FROM SNMPv2-SMI;
first OBJECT-TYPE SYNTAX INTEGER { on(1) } MAX-ACCESS read-only STATUS current
    DESCRIPTION "-" ::= { enterprises 1 }
END
"""


def main() -> None:
    """Parse what comes on stdin until it ends."""
    # A service that may set no priorities does without; the limits below it may set.
    with contextlib.suppress(PermissionError):
        os.nice(10)
    parser = MibParser()
    parser.parse(_FIRST_TEXT)
    parser.parse("A DEFINITIONS ::= BEGIN b OBJECT c END")
    source, target = sys.stdin.buffer, sys.stdout.buffer
    confine()
    while (text := _read(source)) is not None:
        _allow_cpu_time()
        answer = msgspec.msgpack.encode(_parsed(parser, text))
        target.write(len(answer).to_bytes(LENGTH_OCTETS) + answer)
        target.flush()


def confine() -> None:
    """Give up what a parser needs no more."""
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_OCTETS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        # Three are open already.
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(limit, (most, most))


def _allow_cpu_time() -> None:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = int(spent.ru_utime + spent.ru_stime) + MAX_CPU_S
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, most))


def _parsed(parser: MibParser, text: bytes) -> Parsed:
    try:
        return parser.parse(text.decode())
    except MemoryError:
        return Parsed(error="needs more memory than a MIB may")


def _read(source: BinaryIO) -> bytes | None:
    header = source.read(LENGTH_OCTETS)
    if len(header) < LENGTH_OCTETS:
        return None
    return source.read(int.from_bytes(header))


if __name__ == "__main__":
    main()
