"""Every error muttd raises on purpose. The class says whose fault; the subclass says what we do.

MuttdError
  ConfigError             the operator's fault, at start; all of them at once   exit 78
  InvalidInput            the client's fault; a 400 that names every field
    NoSuchRecord          404
    DuplicateRecord       409
  PeerError(at, source)   the sender's fault; counted by reason; never stops us
    MalformedFrame          the stream is lost             close the connection
    MalformedSyslog         one message is bad             keep the text, go on
    MalformedBer            the datagram is not BER        drop the datagram
    MalformedTrap           BER, but not a notification    drop the datagram
    RefusedTrap             not allowed (community)        drop the datagram
      RefusedByUsm            by SNMPv3 (RFC 3414, 3.2)      drop it; report to who can be told
    MalformedRequest        not HTTP, or not our HTTP      4xx, close
  StoreError              a neighbour's fault
    StoreUnavailable        not now                        retry with back-off
      QueueFull             not now: the hard limit        503, or stop reading
    StoreRefused            never (schema, corruption)     exit 78 at start, 70 later
  SecretsError            Vault's fault, or of who set it up; what is held goes on to count
    SecretsUnavailable      not now: away, sealed, too many requests     retry with back-off
    SecretsRefused          not us: role, policy, path                   retry, and warn
  DeliveryError           the receiver's fault
    DeliverLater            timeout, 408, 425, 429, 5xx    retry with back-off
    DestinationHeld         401, 403                       hold the destination, warn
    Undeliverable           any other answer               bury now
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class MuttdError(Exception):
    """Root of everything muttd raises on purpose."""


class ConfigError(MuttdError):
    """The operator's fault, found at start. Exit 78 (EX_CONFIG of sysexits.h).

    Args:
        mistakes: One whole line per mistake; all of them, not only the first.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class InvalidInput(MuttdError):
    """What a client asked for is wrong; nothing was changed.

    Args:
        problems: (field, what is wrong) for every wrong field.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{field}: {what}" for field, what in self.problems))


class NoSuchRecord(InvalidInput):
    """The record that the client named is not there."""


class DuplicateRecord(InvalidInput):
    """A record with this key is there already."""


class PeerError(MuttdError):
    """The sender's fault. Counted; never stops a listener.

    Args:
        what: What is wrong, in the words of the standard.
        at: Offset of the first offending octet in the message or stream.
        source: Standard and section, e.g. "RFC 5424, 6.2.1".
    """

    # The metric label: one fixed word per class, never text off the wire.
    reason = "peer"

    def __init__(self, what: str, *, at: int, source: str) -> None:
        super().__init__(f"{what} [octet {at}; {source}]")
        self.what = what
        self.at = at
        self.source = source


class MalformedFrame(PeerError):
    """The stream cannot be resynchronised; the connection is closed."""

    reason = "frame"


class MalformedSyslog(PeerError):
    """One syslog message is out of its grammar; its octets are kept as an event."""

    reason = "syslog"


class MalformedBer(PeerError):
    """The datagram is not BER (X.690)."""

    reason = "ber"


class MalformedTrap(PeerError):
    """The datagram is BER, but no SNMP notification."""

    reason = "trap"


class RefusedTrap(PeerError):
    """A notification that is well formed and not allowed, e.g. an unknown community."""

    reason = "refused"


class RefusedByUsm(RefusedTrap):
    """Refused by the User-based Security Model (RFC 3414, 3.2).

    Args:
        what: What is wrong.
        report: The message that says so to a sender who can be told, or None.
    """

    # In usmStats (RFC 3414, 5): the counter's name, and its arc below 1.3.6.1.6.3.15.1.1.
    counter = ""
    arc = 0
    section = ""

    def __init__(self, what: str, *, at: int = 0, report: bytes | None = None) -> None:
        super().__init__(what, at=at, source=f"RFC 3414, {self.section}")
        self.report = report


class UnsupportedSecurityLevel(RefusedByUsm):
    """Above what the user has keys for, or below what he was configured for."""

    reason = "usm_security_level"
    counter, arc, section = "usmStatsUnsupportedSecLevels", 1, "3.2 (5)"


class NotInTimeWindow(RefusedByUsm):
    """Too old, or replayed, or from before the engine's last start."""

    reason = "usm_time_window"
    counter, arc, section = "usmStatsNotInTimeWindows", 2, "3.2 (7)"


class UnknownUserName(RefusedByUsm):
    """No such user."""

    reason = "usm_user_name"
    counter, arc, section = "usmStatsUnknownUserNames", 3, "3.2 (4)"


class UnknownEngineId(RefusedByUsm):
    """Not our engine ID where it must be ours; it is so that a sender discovers ours."""

    reason = "usm_engine_id"
    counter, arc, section = "usmStatsUnknownEngineIDs", 4, "3.2 (3)"


class WrongDigest(RefusedByUsm):
    """Another key than ours made it, or it was changed on its way."""

    reason = "usm_digest"
    counter, arc, section = "usmStatsWrongDigests", 5, "3.2 (6)"


class DecryptionError(RefusedByUsm):
    """Authentic, and encrypted with another key than ours."""

    reason = "usm_decryption"
    counter, arc, section = "usmStatsDecryptionErrors", 6, "3.2 (8)"


class MalformedRequest(PeerError):
    """An HTTP request that is out of its grammar, too slow, or over a limit."""

    reason = "request"


class StoreError(MuttdError):
    """A neighbour's fault: the queue or the store."""


class StoreUnavailable(StoreError):
    """Not now. The operation changed nothing that repeating it would double."""


class QueueFull(StoreUnavailable):
    """The stream holds as many events as it may.

    Args:
        depth: Events in the stream.
        limit: The most that it may hold.
    """

    def __init__(self, *, depth: int, limit: int) -> None:
        super().__init__(f"the queue holds {depth} of at most {limit} events")
        self.depth = depth
        self.limit = limit


class StoreRefused(StoreError):
    """Never: the file is no database of ours, or its schema is newer than this program."""


class SecretsError(MuttdError):
    """Vault gave no secrets. What was read before goes on to count."""


class SecretsUnavailable(SecretsError):
    """Not now; asking again may help."""


class SecretsRefused(SecretsError):
    """Not us, or not this: somebody has to change something at Vault."""


class DeliveryError(MuttdError):
    """The receiver's fault.

    Args:
        what: What happened, for a human; at most a status and an excerpt of the answer.
        status: HTTP status, if there was an answer.
    """

    def __init__(self, what: str, *, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class DeliverLater(DeliveryError):
    """Worth another attempt.

    Args:
        what: What happened.
        status: HTTP status, if there was an answer.
        retry_after_s: What the receiver asked for in Retry-After (RFC 9110, 10.2.3).
    """

    def __init__(
        self, what: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(what, status=status)
        self.retry_after_s = retry_after_s


class DestinationHeld(DeliveryError):
    """401 or 403: a wrong key is not the alert's fault. The alert waits."""


class Undeliverable(DeliveryError):
    """The receiver will never take this alert. Bury it now."""
