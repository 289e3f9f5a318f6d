"""SNMPv3's part of the wiring: its users, and ourselves as an engine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from muttd.protocol.usm import Engine, Usm
from muttd.protocol.usm_users import UsmUser
from muttd.settings import Settings
from muttd.state_dir import snmp_engine


def open_usm(settings: Settings, users: Sequence[UsmUser]) -> Usm:
    """The User-based Security Model with its users, as an engine that was started once more.

    Raises:
        ConfigError: The file with our engine ID is wrong.
    """
    engine_id, boots = snmp_engine(settings.state_dir)
    return Usm(users, Engine(engine_id, boots, time.monotonic(), secrets.randbits(64)))
