"""The request that nearly every request is, without h11: simple, and whole in one read.

    octets --plain_request--> PlainRequest, or None: h11 reads it, or says what is wrong with it
    status, fields, body --plain_answer--> octets, or None: h11 frames it, or says what is wrong

h11 is the authority, and takes a hundred times as long as this. Whatever is accepted here h11
accepts too and reads alike, which the tests hold together; of what could be read in two ways
nothing is accepted here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

import h11

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Begins and ends with what is seen; RFC 9110, 5.5 has horizontal tabs and spaces in between.
_VALUE = rb"[!-~\x80-\xff](?:[ -~\t\x80-\xff]*[!-~\x80-\xff])?"

_REQUEST_LINE = re.compile(rb"(GET|POST|PUT|DELETE) (/[!-~]*) HTTP/1\.1\r\n")
_FIELD = re.compile(rb"^(%b): ?(%b)\r\n" % (_TOKEN, _VALUE), re.MULTILINE)
_NAME = re.compile(_TOKEN)
_WHOLE_VALUE = re.compile(_VALUE)

# What says more about the connection or the body than this file knows. Of a request they lead to
# h11, whatever they say; "Connection: keep-alive" says nothing (RFC 9112, 9.3).
_SPECIAL = frozenset((b"connection", b"expect", b"transfer-encoding", b"upgrade", b"trailer"))
# Fields of an answer that are of that one alone, or not to be kept.
_OWN = frozenset((b"x-correlation-id", b"set-cookie", b"location", b"etag"))
# Nine digits and more are no body that comes whole in one read.
_MAX_LENGTH_DIGITS = 8

_END_OF_HEAD = b"\r\n\r\n"

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii"))
    for status in HTTPStatus
    # The others have no body (RFC 9110, 6.4.1).
    if status >= HTTPStatus.OK
    and status not in (HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED)
}


class PlainRequest(NamedTuple):
    """A whole request. Its first attributes are those of h11.Request.

    Attributes:
        method, target: As they came.
        headers: (name in lower case, value), no name twice.
        http_version: 1.1.
        body: All of it.
        octets: What h11 has to be fed, should the answer turn out not to be plain.
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    http_version: bytes
    body: bytes
    octets: bytes


# The head of a request, whoever has read it.
Head = h11.Request | PlainRequest


def plain_request(
    octets: bytes, *, max_head_octets: int, max_body_octets: int
) -> PlainRequest | None:
    """The one request that these octets are, to the last of them; None when h11 has to look.

    Cost: one pass over the head; the body is copied once.
    Source: RFC 9112, 2.1, 3 and 6.
    """
    end = octets.find(_END_OF_HEAD)
    line = _REQUEST_LINE.match(octets)
    if line is None or end < line.end() or end > max_head_octets - len(_END_OF_HEAD):
        return None
    found = _FIELD.findall(octets, line.end(), end + 2)
    # A match is one whole line, from its beginning: as many of them as lines are all lines.
    if len(found) != octets.count(b"\n", line.end(), end + 2):
        return None
    headers = [(name.lower(), value) for name, value in found]
    fields = dict(headers)
    if len(fields) != len(headers) or b"host" not in fields:
        return None
    if not _SPECIAL.isdisjoint(fields) and not _is_only_keep_alive(fields):
        return None
    length = fields.get(b"content-length", b"0")
    body = octets[end + 4 :]
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS or int(length) != len(body):
        return None
    if len(body) > max_body_octets:
        return None
    return PlainRequest(line[1], line[2], headers, b"1.1", body, octets)


def plain_answer(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes | None:
    """A whole answer with its body; None when h11 has to frame it.

    Args:
        headers: Without a Content-Length, or with the right one.
    """
    line = _STATUS_LINES.get(status)
    length: bytes | None = None
    lines: list[bytes] = []
    for given, value in headers:
        name = given.lower()
        octets = _line_once(given, value) if name in _OWN else _line(given, value)
        if octets is None or name in _SPECIAL:
            return None
        if name == b"content-length":
            if length is not None or value != b"%d" % len(body):
                return None
            length = value
        lines.append(octets)
    if line is None:
        return None
    if length is None:
        lines.append(b"content-length: %d\r\n" % len(body))
    return b"%b%b\r\n%b" % (line, b"".join(lines), body)


def _line_once(name: bytes, value: bytes) -> bytes | None:
    # Nothing in it ends the line: what a client wrote never becomes a field of its own.
    if not _NAME.fullmatch(name) or not _WHOLE_VALUE.fullmatch(value):
        return None
    return b"%b: %b\r\n" % (name, value)


# Most fields of an answer are those of the answer before.
_line = lru_cache(maxsize=256)(_line_once)


def _is_only_keep_alive(fields: dict[bytes, bytes]) -> bool:
    special = _SPECIAL & fields.keys()
    return special == {b"connection"} and fields[b"connection"].lower() == b"keep-alive"
