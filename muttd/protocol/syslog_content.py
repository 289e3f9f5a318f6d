"""What stands behind the header of an RFC 3164 message: a TAG, a vendor's mnemonic, or just text.

    form                                    app_name        procid  msgid     message
    su[7]: text                             su              7                 text
    Software Update[7]: text                Software Update 7                 text
    %LINK-3-UPDOWN: text                    LINK-3-UPDOWN           UPDOWN    all of it
    ifmgr[204]: %PKT_INFRA-LINK-3-UPDOWN :  PKT_INFRA-LINK-3-UPDOWN  204  UPDOWN  all of it
    notice mcpd[7]: 01070638:5: text        mcpd            7       01070638  01070638:5: text
    CEF:0|... LEEF:1.0|...                  CEF, LEEF                         all of it
    what syslog_forms.py knows, and no TAG                                    all of it
    APF-4-MOBILE, LINK-I-Up: those behind "#", and with a letter for the severity, too
    su text, su:text                        su                                all of it

The last line is a guess: the word may as well be the first of the text, so the text keeps it.
Whatever the form, no character of the text that a rule could look for is lost.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from muttd.protocol.syslog_forms import FORM_INITIALS, parse_form

# A TAG as it is sent: 32 alphanumerics in RFC 3164, 4.1.3; paths, dots and parentheses in life.
# It has a letter, so that neither a number nor a time of day is one.
_TAG_WORD = r"(?=[^\s:\[A-Za-z]{0,63}+[A-Za-z])[^\s:\[\]{}<>=,;\"'|?%*]{1,64}+"
_TAG_END = r"(?:\[([^\[\]\s]{1,128})\](?::|(?= |\Z))|:(?= |\Z)) ?"
_TAG = re.compile(rf"({_TAG_WORD}){_TAG_END}")
_TAG_OF_WORDS = re.compile(
    r"([A-Z][\w./-]{0,31}(?: [A-Z0-9][\w./-]{0,31}){1,4})\[([0-9]{1,10})\]:? ?", re.ASCII
)
_SEVERITY = r"(?:emerg|alert|crit|err|error|warning|warn|notice|info|debug)"
# F5: the name of the severity, then the TAG.
_F5 = re.compile(rf"{_SEVERITY} ({_TAG_WORD}){_TAG_END}")
# The facility, too: BusyBox "daemon.info", AIX "auth|security:info".
_PRI_IN_WORDS = re.compile(
    rf"[a-z0-7]{{3,8}}(?:\|[a-z]{{3,8}})?[.:]{_SEVERITY} ({_TAG_WORD}){_TAG_END}"
)
_F5_MSGID = re.compile(r"([0-9a-f]{8}):[0-7]: ")
_GUESSED_TAG = re.compile(
    r"(?=[a-z_/])([\w./-]{2,32})(?= )|([A-Za-z_/][\w./-]{1,31}):(?![:/ ])", re.ASCII
)
# Not a TAG, though it looks like one.
_IDRAC = re.compile(r"Severity: [^,]{1,32}, Category: ")
_REPEATED = re.compile(r"last message repeated ")

# Cisco; "#": its wireless controllers; a letter for the severity: Small Business, PowerConnect;
# %STKUNIT0-M:CP: Dell's switches name the unit.
_MNEMONIC = re.compile(
    r"(?:[A-Za-z][\w/-]{0,63}(?:\[([0-9]{1,10})\])? ?: |%[A-Z][A-Z0-9]{1,15}-[A-Z]:[A-Z0-9]{1,8} )?"
    r"[%#]([A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*-[0-7ACDEFINW]-([A-Za-z0-9_]+)) ?(?:: ?|(?=\[)|\Z)",
    re.ASCII,
)
# Where a mnemonic begins at the latest: behind what a relay may leave before it, and no further.
_MNEMONIC_WITHIN = 96
# What a relay leaves between its own header and the mnemonic: Cisco's sequence number, the node
# of IOS-XR or the task of a wireless controller, and the clock.
_RELAYED = re.compile(
    r"(?:[0-9]{1,10}: +)*(?:: *)?(?:[A-Z0-9]+/[A-Za-z0-9/]{1,64}:|\*([A-Za-z][\w.-]{0,63}): +)?"
    r"(?:[.*]?(?:[0-9]{4} )?[A-Z][a-z]{2} +[0-9]{1,2} (?:[0-9]{4} )?"
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?: [A-Z]{1,5})? ?: )?"
    r"(?=[%#][A-Z]|[a-z][\w/-]{0,63}(?:\[[0-9]{1,10}\])? ?: %[A-Z])",
    re.ASCII,
)
_EVENT_FORMAT = re.compile(r"(CEF|LEEF): ?[0-9]")

# UniFi: MAC and model-version behind the name and before the TAG.
_STATION = re.compile(r"[0-9a-f]{12},[A-Za-z0-9][\w.+-]{1,63}: (?=\S)", re.ASCII)


class Content(NamedTuple):
    """A TAG and the text behind it."""

    app_name: str | None
    procid: str | None
    msgid: str | None
    message: str


def split_content(text: str, *, stamped: bool) -> Content:
    """Take the TAG off a CONTENT.

    Args:
        text: What stands behind HOSTNAME, or behind TIMESTAMP, or behind PRI.
        stamped: Whether there was a TIMESTAMP. Without one a bare first word is no TAG
            (RFC 3164, 4.3.2: all of it is CONTENT).

    Returns:
        The parts; all are None, and message is the text, when it has no form we know.
    """
    if text[12:13] == ",":
        station = _STATION.match(text)
        text = text if station is None else text[station.end() :]
    first = text[:1]
    if "%" in text[:_MNEMONIC_WITHIN] or first in ("*", "#"):
        relayed = _RELAYED.match(text)
        match = _MNEMONIC.match(text, relayed.end() if relayed else 0)
        if match is not None:
            task = relayed[1] if relayed else None
            return Content(match[2], match[1] or task, match[3], text[match.start() :])
    if text[1:2] == ",":
        # CSV, as of Palo Alto: nothing that is below has a comma there.
        return Content(None, None, None, text)
    match = _EVENT_FORMAT.match(text)
    if match is not None:
        return Content(match[1], None, None, text)
    match = _match_tag(text, first)
    if match is not None:
        message = text[match.end() :]
        code = _F5_MSGID.match(message)
        return Content(match[1], match[2], code[1] if code else None, message)
    form = parse_form(text) if first in FORM_INITIALS else None
    if form is not None:
        return Content(form.app_name, form.procid, form.msgid, text)
    if stamped and not (first == "l" and _REPEATED.match(text)):
        match = _GUESSED_TAG.match(text)
        if match is not None:
            return Content(match[1] or match[2], None, None, text)
    return Content(None, None, None, text)


def _match_tag(text: str, first: str) -> re.Match[str] | None:
    # No text is more than one of these; the order is that of how common they are.
    if first.islower():
        return _F5.match(text) or _PRI_IN_WORDS.match(text) or _TAG.match(text)
    if first == "S" and _IDRAC.match(text):
        return None
    return _TAG.match(text) or _TAG_OF_WORDS.match(text)
