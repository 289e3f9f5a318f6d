"""The answers that the transport makes itself, in the shape that all errors of the API have.

{"error": code, "message": text, "correlation_id": id, "details": []}
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from email.utils import formatdate
from http import HTTPStatus

from muttd.errors import MalformedRequest
from muttd.listeners.http_options import HttpOptions, Refusal, Scope
from muttd.listeners.http_plain import Head

REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}

_CORRELATION_ID = re.compile(rb"[ -~]{1,128}")

_log = logging.getLogger(__name__)


class RefusedRequest(MalformedRequest):
    """The transport answers this request itself and closes the connection.

    Args:
        refusal: Which answer.
        at: Octets read for this request.
        what: What is wrong; the refusal's own words when there is no more to say.
    """

    def __init__(self, refusal: Refusal, *, at: int, what: str | None = None) -> None:
        super().__init__(what or refusal.message, at=at, source=refusal.source)
        self.refusal = refusal


class HttpDate:
    """The Date field (RFC 9110, 6.6.1), made once a second: making it costs 5 us."""

    def __init__(self) -> None:
        self._second = 0
        self._octets = b""

    def octets(self) -> bytes:
        """The time now as an IMF-fixdate."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._octets = formatdate(second, usegmt=True).encode()
        return self._octets


def correlation_id_of(request: Head | None) -> str:
    """The peer's X-Correlation-ID if it is one that we honour, else a new one."""
    for name, value in () if request is None else request.headers:
        if name == b"x-correlation-id" and _CORRELATION_ID.fullmatch(value):
            return value.decode("ascii")
    return str(uuid.uuid4())


def error_answer(
    refusal: Refusal, options: HttpOptions, request: Head | None = None, what: str = ""
) -> bytes:
    """The whole answer as octets. The connection must close after it.

    Not through h11: after an error its state machine may have nothing more to say.

    Args:
        refusal: Which answer.
        options: For the fields that every error carries.
        request: What is answered, if its head could be read.
        what: The message, when there is a better one than the refusal's own.
    """
    correlation_id = correlation_id_of(request)
    shape = {
        "error": refusal.code,
        "message": what or refusal.message,
        "correlation_id": correlation_id,
        "details": [],
    }
    body = json.dumps(shape).encode()
    fields = [
        (b"Date", HttpDate().octets()),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"X-Correlation-ID", correlation_id.encode()),
        (b"Connection", b"close"),
        *options.error_headers,
    ]
    head = b"HTTP/1.1 %d %s\r\n" % (refusal.status, REASONS[refusal.status])
    head += b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n"
    return head if request is not None and request.method == b"HEAD" else head + body


def log_failure(exc: BaseException, scope: Scope) -> None:
    """Log where the app failed. Not the error's text: it may quote what the peer sent."""
    places = "".join(traceback.format_tb(exc.__traceback__))
    _log.error(
        "%s %r failed: %s\n%s", scope.get("method"), scope["path"], type(exc).__name__, places
    )
