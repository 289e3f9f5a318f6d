"""One fault, one signature: what the receiver folds repetitions of an alert by.

    host::class::template-or-OID::instance

    sw1.example.net::LINK::%LINK-3-UPDOWN: Interface <if>, changed state to down::Gi0/1
    fw1::snmp::1.3.6.1.6.3.1.1.5.3::3,Gi0/3

The template takes out what varies between two reports of one fault; the instance puts back what
tells two faults apart: interfaces, quoted names, paths, numbered parts (fan 2), and addresses
unless they are those of somebody who connected (after "from", or with a port). For a
notification it is the rows that its varbinds belong to, and the values that name something.

Up and down of one interface are two signatures, and names_of() finds one by the other: what
their messages name is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from muttd.decision import Decision
from muttd.event import Event, Transport, Varbind
from muttd.rules.template import template_of, varying_parts
from muttd.rules.texts import message_of

# What Moogsoft keeps of a signature.
MAX_SIGNATURE_OCTETS = 767
_HASH_OCTETS = 8

# %FACILITY-SEVERITY-MNEMONIC of Cisco IOS, NX-OS and ASA; a SUBFACILITY may come between.
_CISCO = re.compile(r"%?([A-Z][A-Z0-9_]*)(?:-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+")

# How far back a word can be that says what a number or an address is.
_LOOK_BACK_CHARACTERS = 32
# Parts that come in numbers are told apart by theirs.
_BEFORE_PART = re.compile(
    r"\b(?:fan|psu|supply|slot|module|disk|drive|unit|vlan|vrf|sensor|cpu|core|fpc|pic|card"
    r"|linecard|member|bay|tray|node|area)"
    r"(?: (?:tray|module|unit|number|no\.))?[ :#=(]{0,3}$",
    re.IGNORECASE,
)
# A bare "port 5511" is one of TCP or UDP and varies; "port 1/0/14" is an interface.
_BEFORE_PORT = re.compile(r"\b(?:port|interface|if|ifname)[ :#=(]{0,3}$", re.IGNORECASE)
_BEFORE_CLIENT = re.compile(
    r"\b(?:(?:from|source|rhost|client|rip)(?: ip| address)?|(?:src|dst)(?: \w{1,16})?)"
    r"[ :=(\[]{0,2}$",
    re.IGNORECASE,
)
_PORT_AFTER = re.compile(r"(?::\d|,? port \d|\(\d|\]:\d)")
# Placeholders of what names a thing: interfaces, addresses of hardware, devices, programs.
_NAMES = frozenset({"if", "mac", "dev", "pci", "part", "nameif", "proc", "service"})
_DIGIT = re.compile(r"\d")
_LONG_NUMBER = re.compile(r"\d{4,}")

# Varbinds that say when and by whom, not what about (RFC 3416, 4.2.6; RFC 3584, 3.1).
_ENVELOPE = ("1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.", "1.3.6.1.6.3.18.1.")
# Columns whose value names the row: ifIndex.3, ifDescr.3, bgpPeerRemoteAddr.10.0.0.1.
_NAMING = re.compile(r"(?:name|descr|alias|index|addr|address|interface)\.[\d.]+$", re.IGNORECASE)

_SEPARATOR = re.compile(r":{2,}")


def signature_of(event: Event, decision: Decision) -> str:
    """The signature of the alert that this event raises; at most 767 octets of UTF-8.

    A longer one is cut and ends in a hash of the whole, so that two long ones never collapse.
    """
    host = event.hostname.casefold()
    if event.trap_oid is not None:
        what = event.trap_oid.strip(".")
        parts = _of_varbinds(event.varbinds)
    else:
        told = _told(event)
        what = template_of(told)
        parts = _of_text(told)
    return signature_from(host, class_of(event), what.strip() or f"rule {decision.rule_id}", parts)


def signature_from(host: str, kind: str, what: str, parts: Iterable[str] = ()) -> str:
    """A signature from its fields: host, class, template or OID, and what makes the instance."""
    instance = ",".join(dict.fromkeys(parts))
    # Only the separators may look like separators; an IPv6 address is a host in brackets.
    fields = (
        f"[{host}]" if ":" in host else host,
        _SEPARATOR.sub(":", kind),
        _SEPARATOR.sub(":", what),
        instance,
    )
    return _cut("::".join(fields))


def names_of(event: Event) -> list[str]:
    """What the event is about: the same for a problem and for the message that ends it."""
    if event.trap_oid is None:
        parts = _of_text(_told(event))
    else:
        parts = _of_varbinds(event.varbinds, in_words=False)
    return sorted(set(parts))


def class_of(event: Event) -> str:
    """The kind of source: snmp, a Cisco facility (LINK), the program, or how the event came."""
    if event.trap_oid is not None:
        return Transport.SNMP.value
    mnemonic = _CISCO.fullmatch(event.app_name or "")
    if mnemonic is None and event.message.startswith("%"):
        mnemonic = _CISCO.match(event.message)
    if mnemonic is not None:
        return mnemonic[1]
    return event.app_name or event.transport.value


def _told(event: Event) -> str:
    """The message, and before it what of the header says what it is about and not who says it."""
    message = message_of(event)
    heads = [event.msgid]
    if event.app_name is not None and _CISCO.fullmatch(event.app_name):
        heads.append(event.app_name)
    return ": ".join([*(head for head in heads if head and head not in message), message])


def _of_text(text: str) -> Iterator[str]:
    for kind, part, start, end in varying_parts(text):
        before = text[max(0, start - _LOOK_BACK_CHARACTERS) : start]
        if kind in _NAMES:
            yield part
        elif kind in ("str", "str1", "path"):
            # What is named stays; session numbers and the like inside it do not.
            yield _LONG_NUMBER.sub("#", part)
        elif kind == "value":
            # An account or a file, and not the number of a session.
            if part != "-" and _DIGIT.search(part) is None:
                yield part
        elif kind in ("ip", "host"):
            if not (_BEFORE_CLIENT.search(before) or _PORT_AFTER.match(text, end)):
                yield part
        elif kind in ("num", "numbers") and (
            _BEFORE_PART.search(before) or ("/" in part and _BEFORE_PORT.search(before))
        ):
            yield part


def _of_varbinds(varbinds: list[Varbind], *, in_words: bool = True) -> Iterator[str]:
    named = [varbind for varbind in varbinds if not varbind.oid.startswith(_ENVELOPE)]
    rows = [row for varbind in named if (row := _row_of(varbind)) != "0"]
    yield from rows
    for varbind in named:
        if _NAMING.search(varbind.name):
            yield varbind.value
        elif not rows and not _is_number(varbind.value):
            # Nothing but scalars: what they say in words is all there is to tell faults apart.
            if in_words:
                yield template_of(varbind.value)
            yield from _of_text(varbind.value)


def _row_of(varbind: Varbind) -> str:
    # "ifDescr.3" is row 3; an OID that no MIB names shows its last arc.
    _, _, row = varbind.name.rpartition("::")[2].partition(".")
    return varbind.oid.rpartition(".")[2] if varbind.name[:1].isdigit() else row or "0"


def _is_number(value: str) -> bool:
    return value.replace(".", "").removeprefix("-").isdigit()


def _cut(signature: str) -> str:
    octets = signature.encode("utf-8", "replace")
    if len(octets) <= MAX_SIGNATURE_OCTETS:
        return octets.decode()
    mark = "~" + blake2b(octets, digest_size=_HASH_OCTETS).hexdigest()
    return octets[: MAX_SIGNATURE_OCTETS - len(mark)].decode("utf-8", "ignore") + mark
