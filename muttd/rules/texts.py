"""What text rules look at, in an event as the sender wrote it.

    line      app_name[procid]: message        sshd[4711]: Failed password for root
    message   the same without the header, so that ^ may stand before either
    msgid     RFC 5424, 6.2.7, if there is one

With an empty message its structured data, as on the wire, stands in for it (RFC 5424 allows a
message to be nothing else). Without an app_name the line is the message.
"""

from __future__ import annotations

import re

from muttd.event import Event

# RFC 5424, 6.3.3: these three are escaped in a PARAM-VALUE.
_ESCAPED = re.compile(r'["\\\]]')
_ESCAPE = r"\\\g<0>"


def texts_of(event: Event) -> tuple[str, ...]:
    """The line and, if there is one, the msgid."""
    message = message_of(event)
    app_name, procid, msgid = event.app_name, event.procid, event.msgid
    if app_name is None:
        line = message
    elif procid is None:
        line = f"{app_name}: {message}"
    else:
        line = f"{app_name}[{procid}]: {message}"
    return (line,) if msgid is None else (line, msgid)


def message_of(event: Event) -> str:
    """The message, or the structured data that stands in for an empty one."""
    return event.message or _structured_data_text(event)


def _structured_data_text(event: Event) -> str:
    elements = []
    for sd_id, params in event.structured_data.items():
        shown = [f' {name}="{_ESCAPED.sub(_ESCAPE, value)}"' for name, value in params]
        elements.append(f"[{sd_id}{''.join(shown)}]")
    return "".join(elements)


def octets_of(text: str) -> bytes:
    """The text as the engines take it; a lone surrogate has no UTF-8 and is a question mark."""
    return text.encode("utf-8", "replace")


def folded(text: str) -> str:
    """The text in which a casefolded one is looked for."""
    return (text if text.isascii() else octets_of(text).decode()).casefold()
