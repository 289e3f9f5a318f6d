"""Who sent an SNMPv3 message: a user at an engine, his keys, and what is known of that clock.

UsmUser + engine ID --> Key --> Sender        the costly half of some keys, by PendingKey
boots and time of his messages --> Clock      forward only (RFC 3414, 3.2 (7) b)
"""

from __future__ import annotations

from typing import NamedTuple

from muttd.protocol.snmp_v3 import Key, V3Message
from muttd.protocol.usm_crypto import (
    Authenticator,
    Decryptor,
    is_costly,
    localised,
    localised_priv,
)
from muttd.protocol.usm_users import UsmUser

# RFC 3414, 2.2.3. Not a setting: both ends must agree on it.
WINDOW_S = 150


class PendingKey(NamedTuple):
    """An authentic message that can be opened once a costly key is there.

    Attributes:
        user: Whose key it is.
        engine_id: At which engine.
    """

    user: UsmUser
    engine_id: bytes

    def derive(self) -> Key:
        """The key. Takes milliseconds, in which the interpreter is free: for a thread."""
        user = self.user
        assert user.auth is not None
        assert user.priv is not None
        auth_key = localised(user.auth, user.auth_key, self.engine_id)
        priv_key = localised_priv(user.auth, user.priv, user.priv_key, self.engine_id)
        return Key(user.auth, auth_key, user.priv, priv_key)


class Clock:
    """What was last heard of the clock of an engine (RFC 3414, 2.3)."""

    __slots__ = ("boots", "heard_at", "time")

    def __init__(self) -> None:
        # Below all that may come.
        self.boots = -1
        self.time = 0
        self.heard_at = 0.0

    def is_timely(self, message: V3Message, now: float) -> bool:
        """Whether a message is within the window (RFC 3414, 3.2 (7) b 2)."""
        if message.engine_boots != self.boots:
            return message.engine_boots > self.boots
        return message.engine_time >= self.time + int(now - self.heard_at) - WINDOW_S

    def hear(self, message: V3Message, now: float) -> None:
        """Go forward, never back (RFC 3414, 3.2 (7) b 1)."""
        if (message.engine_boots, message.engine_time) > (self.boots, self.time):
            self.boots = message.engine_boots
            self.time = message.engine_time
            self.heard_at = now


class Sender:
    """A user at an engine, who has proved that he is. Without decryptor while that is pending."""

    __slots__ = ("authenticator", "clock", "decryptor", "key", "user")

    def __init__(self, user: UsmUser, key: Key, clock: Clock) -> None:
        assert key.auth is not None
        self.user = user
        self.key = key
        self.clock = clock
        self.authenticator = Authenticator(key.auth, key.auth_key)
        self.decryptor = Decryptor(key.priv, key.priv_key) if key.priv else None


def auth_key(user: UsmUser, engine_id: bytes) -> Key:
    """What a user who has a passphrase authenticates with at this engine."""
    assert user.auth is not None
    return Key(user.auth, localised(user.auth, user.auth_key, engine_id))


def with_cheap_priv_key(user: UsmUser, engine_id: bytes, key: Key) -> Key:
    """The key with what it encrypts with, unless there is nothing or that is costly."""
    assert user.auth is not None
    if user.priv is None or is_costly(user.auth, user.priv):
        return key
    priv_key = localised_priv(user.auth, user.priv, user.priv_key, engine_id)
    return key._replace(priv=user.priv, priv_key=priv_key)
