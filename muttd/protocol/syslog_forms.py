"""Vendors' own forms of the text behind a header, where RFC 3164 has a TAG.

    sender          form                                            app_name    procid   msgid
    Huawei, H3C     %%01IFNET/4/IF_STATE(l)[12]:text                IFNET/4/IF_STATE     IF_STATE
    ArubaOS-Switch  00077 ports: text                               ports                00077
    Aruba Instant   <192.0.2.9 00:1A:...> stm[17]: <501093>         stm         17       501093
    ExtremeXOS      <Noti:vlan.msgs.x> text                         vlan                 vlan.msgs.x
    ONTAP           [node1:netif.linkDown:info]: text               netif            netif.linkDown
    NetScaler       0-PPE-0 : default SSLLOG SSL_X 12 0 :           SSLLOG      0-PPE-0  SSL_X
    WatchGuard      80B1F FB (2024-10-11T22:14:15) http: msg_id="3000-0148"  http  3000-0148
    MikroTik        system,info,account text                        system
    Cisco ISE       CISE_Passed_Authentications 0000000012 1 0      CISE_Passed_Authentications
    iDRAC           Severity: x, Category: Audit, MessageID: USR0030,  Audit             USR0030
    Snare           MSWinEventLog<TAB>1<TAB>Security<TAB>...        the source           event ID
    Synology        WinFileService Event: read, ...                 WinFileService

Unlike behind a TAG, the text is kept whole: a rule may look for any of these words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_HEX = "0123456789ABCDEF"


class Form(NamedTuple):
    """What a vendor's form says."""

    app_name: str | None
    procid: str | None
    msgid: str | None


def _by_first(
    forms: Iterable[tuple[str, str]],
) -> dict[str, tuple[re.Pattern[str], ...]]:
    # The characters that a form can begin with: most texts are thereby asked nothing at all.
    found: dict[str, list[re.Pattern[str]]] = {}
    for characters, expression in forms:
        pattern = re.compile(expression, re.ASCII)
        for character in characters:
            found.setdefault(character, []).append(pattern)
    return {character: tuple(patterns) for character, patterns in found.items()}


_FORMS = _by_first(
    (
        (
            "%",
            r"%%[0-9]{2}(?P<app>[A-Za-z0-9_-]{1,32}/[0-7]/(?P<msgid>[A-Za-z0-9_-]{1,48}"
            r"(?: [A-Z]{1,32})?))(?:\([a-z]{1,2}\))?(?:\[[0-9]{1,10}\])?:",
        ),
        (_DIGITS, r"(?P<msgid>[0-9]{5}) (?P<app>[A-Za-z][\w-]{0,31}): "),
        (
            _DIGITS,
            # A relay leaves the clock and the name of a NetScaler before it.
            r"(?:[0-9]{2}/[0-9]{2}/[0-9]{4}:[0-9:]{8} {1,2}(?:[A-Z]{1,5} +)?(?:[\w.-]{1,255} )?)?"
            r"(?P<procid>[0-9]{1,3}-PPE-[0-9]{1,3}) : (?:[a-z]\S{0,64} )?"
            r"(?P<app>[A-Z][\w-]{0,31}) (?P<msgid>[A-Z][\w-]{0,63}) [0-9]{1,20} [0-9]{1,20} :",
        ),
        (
            f"{_HEX}(",
            r"(?:[0-9A-F]{4,16} )?(?:[\w.-]{1,255} )?\([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\) "
            r"(?P<app>[A-Za-z][\w.-]{0,63})(?:\[(?P<procid>[0-9]{1,10})\])?:"
            r"(?: msg_id=\"(?P<msgid>[^\s\"]{1,32})\")?",
        ),
        (
            "<",
            r"<[0-9A-Fa-f.:]{2,45} [0-9A-Fa-f:]{17}> "
            r"(?P<app>[A-Za-z][\w.-]{0,63})\[(?P<procid>[0-9]{1,10})\]:"
            r"(?: <(?P<msgid>[0-9]{1,10})>)?",
        ),
        (
            "<",
            r"<(?:Crit|Erro|Warn|Noti|Info|Summ|Verb|Data):"
            r"(?P<msgid>(?P<app>[A-Za-z]\w{0,31})\.[\w.]{1,128})> ",
        ),
        (
            "[",
            r"\[[^\s:\[\]]{1,255}: ?(?P<msgid>(?P<app>[A-Za-z]\w{0,31})\.[\w.]{1,128}): ?"
            r"[a-z]{1,16}\]: ",
        ),
        (
            _LOWER,
            r"(?P<app>[a-z][a-z0-9-]{1,31}),(?:[a-z0-9-]{1,31},){0,4}"
            r"(?:info|warning|error|critical|debug)(?:,[a-z0-9!-]{1,31}){0,4}[ :]",
        ),
        ("C", r"(?P<app>(?:CISE|CSCOacs|CPPM)_\w{1,64}) [0-9]{1,10} "),
        (
            "S",
            r"Severity: [^,]{1,32}, Category: (?P<app>[^,]{1,64})"
            r"(?:, MessageID: (?P<msgid>[^,\s]{1,32}))?(?:,|\Z)",
        ),
        (
            "M",
            r"MSWinEventLog(?:\t|#011)[0-9](?:\t|#011)[^\t#]{1,128}(?:\t|#011)[0-9]{1,20}"
            r"(?:\t|#011)[^\t#]{1,32}(?:\t|#011)(?P<msgid>[0-9]{1,10})(?:\t|#011)"
            r"(?P<app>[^\t#]{1,128})",
        ),
        ("M", r"(?P<app>MSWinEventLog)(?:\t|#011)"),
        ("L", r"(?P<app>LinuxKAudit)(?:\t|#011)"),
        ("ACFSTW", r"(?P<app>[A-Z][A-Za-z]{2,31}) Event: [a-z]"),
    )
)  # fmt: skip


# No text that begins with anything else has a form.
FORM_INITIALS = frozenset(_FORMS)


def parse_form(text: str) -> Form | None:
    """Read a vendor's form.

    Args:
        text: What stands behind the header.

    Returns:
        None if it has none of the forms above.
    """
    for pattern in _FORMS.get(text[:1], ()):
        match = pattern.match(text)
        if match is not None:
            named = match.groupdict()
            return Form(named.get("app"), named.get("procid"), named.get("msgid"))
    return None
