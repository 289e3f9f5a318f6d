"""The daemon's end of parser_process.py: one text after another goes there and does no harm.

    text --pipe--> process --pipe--> Parsed      too slow, too large, dead: that text's error

The process is started with the first text of a batch and ends with it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import trio

from muttd.mibs.module import Parsed
from muttd.mibs.parser_process import LENGTH_OCTETS, MAX_CPU_S

# The largest of vendors' MIBs have a megabyte.
MAX_TEXT_OCTETS = 4_194_304
# Somebody else may have the processor; and it takes a second to start.
_DEADLINE_S = 3 * MAX_CPU_S
# What there is to say of four megabytes is shorter.
_MAX_ANSWER_OCTETS = 67_108_864
_RECEIVE_OCTETS = 65_536


class _Died(Exception):
    """The process ended, or had to be ended."""


class MibCompiler:
    """Parses texts, one at a time. Make it with open_compiler()."""

    def __init__(self) -> None:
        self._process: trio.Process | None = None

    async def parse(self, octets: bytes) -> Parsed:
        """The modules of a text, or what is wrong with it.

        Args:
            octets: The text; UTF-8, or whatever an older editor wrote.
        """
        if len(octets) > MAX_TEXT_OCTETS:
            return Parsed(error=f"is longer than {MAX_TEXT_OCTETS} octets")
        try:
            text = octets.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = octets.decode("latin-1")
        if "\0" in text:
            return Parsed(error="is no text")
        try:
            with trio.fail_after(_DEADLINE_S):
                answer = await self._ask(text.encode("utf-8", "replace"))
            return msgspec.msgpack.decode(answer, type=Parsed)
        except trio.TooSlowError:
            await self.close()
            return Parsed(error=f"takes longer than {_DEADLINE_S} s")
        except (_Died, OSError, trio.BrokenResourceError, msgspec.MsgspecError):
            await self.close()
            return Parsed(error=f"takes more than {MAX_CPU_S} s of CPU time or too much memory")

    async def _ask(self, text: bytes) -> bytes:
        if self._process is None:
            self._process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-W", "ignore", "-m", "muttd.mibs.parser_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send_all(len(text).to_bytes(LENGTH_OCTETS) + text)
        received = bytearray()
        while len(received) < LENGTH_OCTETS or len(received) < LENGTH_OCTETS + _length(received):
            octets = await process.stdout.receive_some(_RECEIVE_OCTETS)
            received += octets
            if not octets or len(received) > _MAX_ANSWER_OCTETS:
                raise _Died
        return bytes(received[LENGTH_OCTETS:])

    async def close(self) -> None:
        """End the process, should there be one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with trio.CancelScope(shield=True):
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await stream.aclose()
            await process.wait()


def _length(received: bytearray) -> int:
    return int.from_bytes(received[:LENGTH_OCTETS])


@asynccontextmanager
async def open_compiler() -> AsyncIterator[MibCompiler]:
    """A compiler whose process ends with the block."""
    compiler = MibCompiler()
    try:
        yield compiler
    finally:
        await compiler.close()
