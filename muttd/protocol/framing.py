"""RFC 6587: cut a TCP or TLS octet stream into syslog messages.

    3.4.1 octet counting        MSG-LEN SP SYSLOG-MSG      17 <34>1 - - - - - -
    3.4.2 non-transparent       SYSLOG-MSG TRAILER         <34>1 - - - - - -<LF>
                                TRAILER = LF / CR LF / NUL

    state        a frame that begins with         is
    UNDECIDED    MSG-LEN SP "<"                   counted, and so is the connection
                 anything else                    trailed, and so is the connection
    COUNTED      MSG-LEN SP                       counted
                 "<"                              trailed, this one only
                 anything else                    lost: MalformedFrame
    TRAILED      anything                         trailed

A connection that uses trailers keeps them, whatever its lines begin with: text without a PRI
begins with a digit often enough ("2024-01-01T..."), and a line that a stranger chose must not be
able to swallow the ones behind it by looking like a MSG-LEN. For the same reason the first frame
is counted only if "<" follows MSG-LEN SP: every message that a counting sender makes has a PRI.

Sans-IO: octets go in through feed(), whole messages come out of frames().
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from muttd.errors import MalformedFrame

# Ten digits: more than any limit has, and a bound on how long we wait for the SP.
_MSG_LEN = re.compile(rb"([1-9][0-9]{0,9}) ")
_FIRST_COUNTED = re.compile(rb"[1-9][0-9]{0,9} <")
# Every proper beginning of what _FIRST_COUNTED wants, and nothing behind it: wait for more.
_FIRST_UNCLEAR = re.compile(rb"[1-9][0-9]{0,9} ?\Z")
_MSG_LEN_UNCLEAR = re.compile(rb"[1-9][0-9]{0,9}\Z")

_PRI_BEGINS = b"<"
# Empty frames: keep-alives, and trailers that a counting sender did not count.
_PADDING = re.compile(rb"[\n\r\0]+")


class _Framing(enum.Enum):
    UNDECIDED = enum.auto()
    COUNTED = enum.auto()
    TRAILED = enum.auto()


class Framer:
    """Incremental framer for one connection.

    Args:
        max_frame_octets: Longest message accepted. RFC 5425, 4.3.1 asks
            receivers for at least 2048 and recommends 8192.

    Cost: linear in the octets, however they are dripped; 0.5 us a frame in whole reads.
    """

    def __init__(self, *, max_frame_octets: int) -> None:
        self._max_frame_octets = max_frame_octets
        self._framing = _Framing.UNDECIDED
        self._buffer = bytearray()
        # Where the next frame begins in the buffer. What lies before it is cut
        # off once per feed(), not once per frame.
        self._start = 0
        # How far we have already looked for a trailer in vain. Without it a
        # sender that drips one octet at a time makes every feed() rescan.
        self._searched = 0
        # Octets of the stream that lie before the buffer; for error messages.
        self._cut_octets = 0

    def feed(self, octets: bytes) -> None:
        """Add octets in the order they arrived. Never blocks, never raises."""
        if self._start:
            del self._buffer[: self._start]
            self._cut_octets += self._start
            self._searched = max(0, self._searched - self._start)
            self._start = 0
        self._buffer += octets

    def frames(self) -> Iterator[bytes]:
        """Yield every whole message now in the buffer, oldest first.

        Yields:
            One SYSLOG-MSG, without its MSG-LEN or trailer; never an empty one.

        Raises:
            MalformedFrame: The stream cannot be resynchronised. The framer
                is spent; the caller closes the connection. finish() still has
                the octets at which the stream was lost.

        Source: RFC 6587, 3.4.1 and 3.4.2.
        """
        if self._framing is _Framing.UNDECIDED:
            self._decide()
        if self._framing is _Framing.COUNTED:
            yield from self._counted()
        elif self._framing is _Framing.TRAILED:
            yield from self._trailed(once=False)

    def finish(self) -> bytes | None:
        """The message that the end of the stream left unfinished.

        Senders that close without a last trailer are common, so a trailed message is whole at
        the end of the stream. Of a counted one this is the part that arrived.

        Returns:
            At most max_frame_octets, or None when the stream ended between two messages.
        """
        rest = bytes(self._buffer[self._start :])
        if self._framing is _Framing.COUNTED:
            if _MSG_LEN_UNCLEAR.match(rest):
                return None
            msg_len = _MSG_LEN.match(rest)
            rest = rest[msg_len.end() if msg_len else 0 :]
        return rest[: self._max_frame_octets].strip(b"\r\n\0") or None

    def _decide(self) -> None:
        self._skip_padding()
        buffer, start = self._buffer, self._start
        if _FIRST_COUNTED.match(buffer, start):
            self._framing = _Framing.COUNTED
        elif start < len(buffer) and not _FIRST_UNCLEAR.match(buffer, start):
            self._framing = _Framing.TRAILED

    def _skip_padding(self) -> bool:
        padding = _PADDING.match(self._buffer, self._start)
        if padding is None:
            return False
        self._start = padding.end()
        return True

    def _counted(self) -> Iterator[bytes]:
        buffer = self._buffer
        while self._start < len(buffer):
            # MSG-LEN = NONZERO-DIGIT *DIGIT, then exactly one SP.
            match = _MSG_LEN.match(buffer, self._start)
            if match is not None:
                msg_len = int(match[1])
                if msg_len > self._max_frame_octets:
                    raise self._malformed("MSG-LEN is too large", "3.4.1")
                end = match.end() + msg_len
                if end > len(buffer):
                    return
                self._start = end
                yield bytes(buffer[match.end() : end])
            elif buffer.startswith(_PRI_BEGINS, self._start):
                begin = self._start
                yield from self._trailed(once=True)
                if self._start == begin:
                    return
            elif not self._skip_padding():
                if _MSG_LEN_UNCLEAR.match(buffer, self._start):
                    return
                raise self._malformed("no MSG-LEN SP where a frame begins", "3.4.1")

    def _trailed(self, *, once: bool) -> Iterator[bytes]:
        buffer = self._buffer
        end = self._find_trailer(first=once)
        if end >= 0:
            # NUL and LF are both trailers, so that one of them is enough to split by.
            block = bytes(buffer[self._start : end]).replace(b"\0", b"\n")
            for frame in block.split(b"\n"):
                self._check_trailed(self._start + len(frame))
                # Frame by frame: a caller may stop in between and come back.
                self._start += len(frame) + 1
                frame = frame.removesuffix(b"\r")
                if frame:
                    yield frame
        if not once or end < 0:
            self._searched = len(buffer)
            self._check_trailed(len(buffer))

    def _check_trailed(self, end: int) -> None:
        # One octet more is not too many if it is the CR of a CR LF.
        spare = self._buffer.endswith(b"\r", self._start, end)
        if end - self._start > self._max_frame_octets + spare:
            raise self._malformed("no trailer within the longest message", "3.4.2")

    def _find_trailer(self, *, first: bool) -> int:
        # The first or the last one that is here, or -1.
        begin = max(self._searched, self._start)
        if not first:
            return max(self._buffer.rfind(b"\n", begin), self._buffer.rfind(b"\0", begin))
        lf, nul = self._buffer.find(b"\n", begin), self._buffer.find(b"\0", begin)
        return min(lf, nul) if lf >= 0 and nul >= 0 else max(lf, nul)

    def _malformed(self, what: str, section: str) -> MalformedFrame:
        at = self._cut_octets + self._start
        return MalformedFrame(what, at=at, source=f"RFC 6587, {section}")
