"""SNMPv3's part of the wiring: its users, and ourselves as an engine."""

from __future__ import annotations

import secrets
import time

from muttd.protocol.usm import Engine, Usm
from muttd.settings import Settings
from muttd.snmp_users import read_users
from muttd.state_dir import snmp_engine


def open_usm(settings: Settings) -> Usm:
    """The User-based Security Model with its users, as an engine that was started once more.

    Before the loop turns: a passphrase becomes a key in some 2 ms.

    Raises:
        ConfigError: The users file is wrong, or the file with our engine ID.
    """
    users = read_users(settings.snmp.users_file)
    engine_id, boots = snmp_engine(settings.state_dir)
    return Usm(users, Engine(engine_id, boots, time.monotonic(), secrets.randbits(64)))
