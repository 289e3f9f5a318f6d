"""The User-based Security Model: who sent an SNMPv3 message, and what is in it (RFC 3414).

    octets -> engine ID? -> user? -> level? -> MAC? -> time window? -> decrypted -> Notification
              3.2 (3)       (4)      (5)       (6)     (7)             (8)

A trap comes from the authoritative engine, so any engine ID will do: what is known of an engine is
learned from messages that proved authentic, and from nothing else. Forged engine IDs leave no
trace. An inform is for the authoritative engine: us. Who does not know our engine ID, boots or time
is told by a Report.

Sans-IO: time is passed in, Reports and Responses are returned as octets.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from muttd.errors import (
    DecryptionError,
    MalformedBer,
    NotInTimeWindow,
    RefusedByUsm,
    UnknownEngineId,
    UnknownUserName,
    UnsupportedSecurityLevel,
    WrongDigest,
)
from muttd.protocol.ber import OCTET_STRING, read_element, read_header, read_integer
from muttd.protocol.recent import Recent
from muttd.protocol.snmp import Notification, Pdu, Security, Version, parse_pdu
from muttd.protocol.snmp_encode import encode_pdu, encode_response_pdu
from muttd.protocol.snmp_plain import read_plain_pdu
from muttd.protocol.snmp_v3 import (
    LEVEL,
    LEVEL_NAMES,
    MAX_INT,
    PRIV,
    REPORTABLE,
    Envelope,
    Key,
    V3Message,
    encode_message,
    encode_scoped,
    parse_message,
    read_scoped,
)
from muttd.protocol.snmp_varbind import WireVarbind
from muttd.protocol.usm_crypto import SALT_OCTETS, Decryptor, fits_cipher
from muttd.protocol.usm_sender import (
    WINDOW_S,
    Clock,
    PendingKey,
    Sender,
    auth_key,
    with_cheap_priv_key,
)
from muttd.protocol.usm_users import ENGINE_ID_OCTETS, UsmUser

# Users at engines that we remember, and engines: some 2 kB and 300 octets each. Only who has the
# keys of a user can fill them; the one heard of longest ago goes first.
MAX_SENDERS = 32_768
MAX_ENGINES = 32_768

_REPORT = 0xA8
_USM_STATS = "1.3.6.1.6.3.15.1.1"


class Engine(NamedTuple):
    """Ourselves (RFC 3414, 2.2.1).

    Attributes:
        engine_id: snmpEngineID.
        boots: snmpEngineBoots: how often we were started with this engine ID.
        started_at: When the last of these was, by the clock that `now` is taken from.
        first_salt: 64 random bits; the salts of our messages count on from there.
    """

    engine_id: bytes
    boots: int
    started_at: float
    first_salt: int


class Opened(NamedTuple):
    """A notification that is what it says it is.

    Attributes:
        notification: With its security.
        msg_id: Of the message; a Response bears it again.
        key: What opened it.
        context_engine_id, context_name: Of its ScopedPDU.
    """

    notification: Notification
    msg_id: int
    key: Key
    context_engine_id: bytes
    context_name: bytes


class Usm:
    """Opens messages, and answers them.

    Args:
        users: Whom we know.
        engine: Ourselves.

    Attributes:
        engine: Ourselves.
        stats: usmStats by the name of the counter (RFC 3414, 5), all there at zero.
    """

    def __init__(self, users: Sequence[UsmUser], engine: Engine) -> None:
        self.engine = engine
        self.stats = {kind.counter: 0 for kind in RefusedByUsm.__subclasses__()}
        self._users: dict[tuple[bytes, bytes | None], UsmUser] = {}
        self._senders: Recent[tuple[bytes, bytes], Sender] = Recent(MAX_SENDERS)
        self._clocks: Recent[bytes, Clock] = Recent(MAX_ENGINES)
        self._salts = 0
        self.replace_users(users)

    @property
    def known(self) -> tuple[int, int]:
        """How many engines, and how many users at engines, are remembered."""
        return len(self._clocks), len(self._senders)

    def replace_users(self, users: Sequence[UsmUser]) -> None:
        """Know these users from now on. What was heard of clocks stays."""
        self._users = {(user.name, user.engine_id): user for user in users}
        self._senders.clear()

    def engine_time(self, now: float) -> int:
        """snmpEngineTime: seconds since our last start."""
        return min(int(now - self.engine.started_at), MAX_INT)

    def open(self, octets: bytes, *, now: float) -> Opened | PendingKey:
        """Open one SNMPv3 message that holds a notification.

        Args:
            octets: One datagram. What follows the message in it is ignored.
            now: Seconds of a clock that is never set.

        Returns:
            What is in it; or, seldom, the key that must be learned before it is opened again.

        Raises:
            MalformedBer, MalformedTrap: As parse_message and parse_notification.
            RefusedByUsm: Counted in stats; its report is to be sent to who sent this.
            RefusedTrap: Another security model.

        Cost: some 20 us with authentication and AES.
        Source: RFC 3414, 3.2; RFC 3412, 7.2.
        """
        message = parse_message(octets)
        try:
            return self._open(message, octets, now)
        except RefusedByUsm as exc:
            self.stats[exc.counter] += 1
            if message.flags & REPORTABLE:
                exc.report = self._report(message, octets, exc, now)
            raise

    def _open(self, message: V3Message, octets: bytes, now: float) -> Opened | PendingKey:
        is_ours = message.engine_id == self.engine.engine_id
        try:
            opened, sender = self._open_authentic(message, octets, now)
        except RefusedByUsm:
            # Who wants an answer takes us for the authoritative engine: that he is wrong about it
            # comes before all else (RFC 3414, 3.2 (3)).
            if not is_ours and message.flags & REPORTABLE:
                raise UnknownEngineId("engine ID is not ours") from None
            raise
        if isinstance(opened, Opened) and not is_ours:
            # RFC 3412, 7.2 (13): only we can be authoritative for what we answer. A trap with the
            # reportable flag set, which agents do send, is a trap all the same.
            if opened.notification.pdu is Pdu.INFORM:
                raise UnknownEngineId("inform for another engine ID")
            if sender is not None:
                sender.clock.hear(message, now)
        return opened

    def _open_authentic(
        self, message: V3Message, octets: bytes, now: float
    ) -> tuple[Opened | PendingKey, Sender | None]:
        engine_id = message.engine_id
        if len(engine_id) not in ENGINE_ID_OCTETS:
            raise UnknownEngineId("engine ID has not 5 to 32 octets")
        name = (message.user_name, engine_id)
        known = self._senders.get(name)
        user = self._user_of(message) if known is None else known.user
        if message.flags & LEVEL != user.level:
            level, wanted = LEVEL_NAMES[message.flags & LEVEL], LEVEL_NAMES[user.level]
            raise UnsupportedSecurityLevel(f"{level}, the user is {wanted}")
        if user.auth is None:
            return _read_data(message, octets, Key(), None), None
        sender = known or Sender(user, auth_key(user, engine_id), self._clock_of(engine_id))
        after = message.mac_at + len(message.mac)
        zeros = sender.authenticator.zeros
        blank = octets[: message.mac_at] + zeros + octets[after : message.end]
        # A MAC of another length never compares equal.
        if not hmac.compare_digest(message.mac, sender.authenticator.mac(blank)):
            raise WrongDigest("digest is wrong", at=message.mac_at)
        if known is None:
            # Not before: who has no key shall neither push others out nor cost more than this.
            sender = Sender(user, with_cheap_priv_key(user, engine_id, sender.key), sender.clock)
            self._senders.put(name, sender)
            self._clocks.put(engine_id, sender.clock)
        self._refuse_untimely(message, sender.clock, now)
        if user.priv is not None and sender.decryptor is None:
            return PendingKey(user, engine_id), sender
        return _read_data(message, octets, sender.key, sender.decryptor), sender

    def _user_of(self, message: V3Message) -> UsmUser:
        name = message.user_name
        user = self._users.get((name, message.engine_id)) or self._users.get((name, None))
        if user is None:
            raise UnknownUserName("user name is not known")
        return user

    def _clock_of(self, engine_id: bytes) -> Clock:
        return self._clocks.get(engine_id) or Clock()

    def _refuse_untimely(self, message: V3Message, clock: Clock, now: float) -> None:
        # RFC 3414, 3.2 (7): a) we are authoritative, b) the sender is.
        if message.engine_id == self.engine.engine_id:
            off_s = abs(message.engine_time - self.engine_time(now))
            is_timely = message.engine_boots == self.engine.boots and off_s <= WINDOW_S
        else:
            is_timely = clock.is_timely(message, now)
        if not is_timely or message.engine_boots == MAX_INT:
            raise NotInTimeWindow("boots and time are not within the window")

    def learn(self, pending: PendingKey, key: Key) -> None:
        """Take a key that PendingKey.derive() made; the message can be opened now."""
        user, engine_id = pending
        # The users may have been replaced meanwhile.
        if self._users.get((user.name, user.engine_id)) is user:
            sender = Sender(user, key, self._clock_of(engine_id))
            self._senders.put((user.name, engine_id), sender)
            self._clocks.put(engine_id, sender.clock)

    def encode_response(self, opened: Opened, *, now: float) -> bytes:
        """The Response to an inform, as well secured as the inform.

        Raises:
            ValueError: It is no inform.

        Source: RFC 3416, 4.2.7; RFC 3412, 7.1.
        """
        security = opened.notification.security
        assert security is not None
        pdu = encode_response_pdu(opened.notification)
        scoped = encode_scoped(opened.context_engine_id, opened.context_name, pdu)
        envelope = self._envelope(opened.msg_id, security.security_name.encode(), now)
        return encode_message(envelope, scoped, opened.key)

    def _report(self, message: V3Message, octets: bytes, exc: RefusedByUsm, now: float) -> bytes:
        """The Report of one counter (RFC 3412, 7.1 (3); RFC 3414, 3.2)."""
        varbind = WireVarbind(
            f"{_USM_STATS}.{exc.arc}.0", "Counter32", self.stats[exc.counter] & 0xFFFF_FFFF
        )
        pdu = encode_pdu(_REPORT, _request_id(message, octets), [varbind])
        scoped = encode_scoped(self.engine.engine_id, b"", pdu)
        key = Key()
        if isinstance(exc, NotInTimeWindow):
            # Authenticated, so that the sender may believe our time. The digest was right.
            sender = self._senders.get((message.user_name, message.engine_id))
            assert sender is not None
            key = Key(sender.key.auth, sender.key.auth_key)
        envelope = self._envelope(message.msg_id, message.user_name, now)
        return encode_message(envelope, scoped, key)

    def _envelope(self, msg_id: int, user_name: bytes, now: float) -> Envelope:
        # Never the same twice with one key: not within this start, and boots keeps starts apart
        # (RFC 3414, 8.1.1.1; RFC 3826, 3.1.2.1).
        self._salts += 1
        count = self.engine.first_salt + self._salts
        salt = (count & (1 << 8 * SALT_OCTETS) - 1).to_bytes(SALT_OCTETS)
        engine = self.engine
        return Envelope(
            msg_id, engine.engine_id, engine.boots, self.engine_time(now), user_name, salt
        )


def _read_data(message: V3Message, octets: bytes, key: Key, decryptor: Decryptor | None) -> Opened:
    """Decrypt what is encrypted, and read it."""
    at, end = message.data_at, message.end
    if decryptor is not None and key.priv is not None:
        start, stop = read_element(octets, at, end, OCTET_STRING)
        if not fits_cipher(key.priv, message.salt, stop - start):
            raise DecryptionError("salt or length do not fit the cipher", at=start)
        engine = (message.engine_boots, message.engine_time)
        octets = decryptor.decrypt(engine, message.salt, octets[start:stop])
        at, end = 0, len(octets)
    try:
        context_engine_id, context_name, at, end = read_scoped(octets, at, end)
        read_header(octets, at, end)
    except MalformedBer:
        if decryptor is None:
            raise
        # Authentic and senseless: it was encrypted with another key.
        raise DecryptionError("what was encrypted is no ScopedPDU", at=message.data_at) from None
    security = _security_of(message.user_name, message.flags & LEVEL, message.engine_id)
    if context_name:
        security = security._replace(context_name=context_name.decode(errors="replace"))
    head = (Version.V3, b"")
    notification = read_plain_pdu(octets, at, end, head, security)
    if notification is None:
        notification = parse_pdu(octets, at, end, head, security)
    return Opened(notification, message.msg_id, key, context_engine_id, context_name)


@functools.lru_cache(maxsize=1024)
def _security_of(user_name: bytes, level: int, engine_id: bytes) -> Security:
    """Without a context, as nearly all are."""
    # It is a user's name, and those were read from text.
    return Security(user_name.decode(), LEVEL_NAMES[level], engine_id, "")


def _request_id(message: V3Message, octets: bytes) -> int:
    """That of the PDU, if it can be read without a key; else 0."""
    if message.flags & PRIV:
        return 0
    try:
        _, _, at, end = read_scoped(octets, message.data_at, message.end)
        _, at, end = read_header(octets, at, end)
        request_id, _ = read_integer(octets, at, end)
    except MalformedBer:
        return 0
    return request_id if 0 <= request_id <= MAX_INT else 0
