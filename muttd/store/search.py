"""Pages, cursors and patterns of the store's lists; every SQL backend reads them alike.

cursor           base64url of [list name, key of the last row shown]: what follows that key
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from muttd.errors import InvalidInput
from muttd.store.contract import MAX_PAGE_ITEMS, Window

# The integers of both databases have 64 bits. A client may ask for rule 10**30; there is none.
MAX_INTEGER = 2**63 - 1
# RFC 1035, 2.3.4: names have at most 255 octets. SQLite refuses patterns above 50 000.
_MAX_HOST_PATTERN = 255

# The canonical form, which is all that EventIds makes (RFC 9562, 4).
_EVENT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_event_id(text: str) -> bool:
    """Whether it is the id of an event, as we write them."""
    return _EVENT_ID.fullmatch(text) is not None


def check_after(after_id: str) -> None:
    """Make sure that a list may begin after this event.

    Raises:
        InvalidInput: It is the id of no event.
    """
    if not is_event_id(after_id):
        raise InvalidInput([("after", "not the id of an event")])


def takes_too_long() -> InvalidInput:
    """What a search that was stopped at its deadline is answered with.

    Asking again would take as long, asking for less would not.
    """
    return InvalidInput([("query", "this search takes too long; narrow it by time")])


def is_glob(pattern: str) -> bool:
    """Whether a host pattern is more than a name.

    Raises:
        InvalidInput: It is longer than any host name.
    """
    if len(pattern) > _MAX_HOST_PATTERN:
        raise InvalidInput([("hostname", f"longer than {_MAX_HOST_PATTERN} characters")])
    return "*" in pattern or "?" in pattern


def glob_as_like(pattern: str) -> str:
    """The glob as a pattern for LIKE whose escape character is the backslash."""
    for character, escaped in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_")):
        pattern = pattern.replace(character, escaped)
    return pattern.replace("*", "%").replace("?", "_")


def bare_oid(prefix: str) -> str:
    """An OID prefix as it is stored: no leading dot, no trailing ".*"."""
    return prefix.removeprefix(".").removesuffix("*").removesuffix(".")


def offset_of(window: Window) -> int:
    """How many rows come before the window's page.

    Raises:
        InvalidInput: The page or the limit is out of its bounds.
    """
    problems = []
    if not 1 <= window.limit <= MAX_PAGE_ITEMS:
        problems.append(("limit", f"must be 1 to {MAX_PAGE_ITEMS}"))
    if window.page < 1:
        problems.append(("page", "must be at least 1"))
    if problems:
        raise InvalidInput(problems)
    if window.cursor is not None:
        return 0
    return min((window.page - 1) * window.limit, MAX_INTEGER)


def encode_cursor(list_name: str, *key: str | int) -> str:
    """The cursor for what follows the row with this key."""
    return base64.urlsafe_b64encode(msgspec.json.encode([list_name, *key])).decode().rstrip("=")


def not_a_cursor() -> InvalidInput:
    """What a cursor that we did not make is answered with."""
    return InvalidInput([("cursor", "not a cursor that this list gave out")])


def decode_cursor(cursor: str, list_name: str, *types: type) -> list[Any]:
    """The key that encode_cursor was given.

    Raises:
        InvalidInput: Not a cursor, or one of another list.
    """
    try:
        octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, *key = msgspec.json.decode(octets, type=list[str | int])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise not_a_cursor() from exc
    is_ours = name == list_name and [type(part) for part in key] == list(types)
    if not is_ours or any(isinstance(part, int) and abs(part) > MAX_INTEGER for part in key):
        raise not_a_cursor()
    return key
