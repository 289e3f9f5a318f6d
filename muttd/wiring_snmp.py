"""SNMP's part of the wiring: SNMPv3's users, ourselves as an engine, and the names of things."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from muttd import protocol
from muttd.mibs.shelf import MibShelf
from muttd.protocol.mib import TABLE_FILE_NAME, Mib
from muttd.protocol.usm import Engine, Usm
from muttd.protocol.usm_users import UsmUser
from muttd.settings import Settings
from muttd.state_dir import snmp_engine
from muttd.store.contract import Store
from muttd.workers.mib_watch import MibWatch

_log = logging.getLogger(__name__)


def open_usm(settings: Settings, users: Sequence[UsmUser]) -> Usm:
    """The User-based Security Model with its users, as an engine that was started once more.

    Raises:
        ConfigError: The file with our engine ID is wrong.
    """
    engine_id, boots = snmp_engine(settings.state_dir)
    return Usm(users, Engine(engine_id, boots, time.monotonic(), secrets.randbits(64)))


def open_mibs(settings: Settings, store: Store) -> MibWatch:
    """The names that were in force last, before the first trap comes. Blocks for some 50 ms.

    Raises:
        ConfigError: The table that comes with the package is damaged.
    """
    directory = settings.snmp.mib_dir
    if directory is None:
        directory = settings.state_dir / "mibs"
        try:
            directory.mkdir(exist_ok=True)
        except OSError as exc:
            # Names are not worth a daemon that does not start.
            _log.error("mibs: %s cannot be made: %s", directory, exc.strerror)
    shipped = Mib.from_octets(Path(protocol.__file__).with_name(TABLE_FILE_NAME).read_bytes())
    watch = MibWatch(
        shipped,
        store,
        directory=directory,
        shelf=MibShelf(settings.state_dir / "mibs.compiled"),
        check_interval_s=settings.snmp.mib_check_interval_s,
    )
    watch.restore()
    return watch
