"""The users file of SNMPv3: read whole, or every mistake in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from muttd.errors import ConfigError
from muttd.protocol.usm_users import UsmUser, parse_users

SETTING = "MUTTD_SNMP_USERS_FILE"
# Some 10 000 users.
_MAX_OCTETS = 1_048_576


def read_users(path: Path | None) -> list[UsmUser]:
    """The users of the file; none without one.

    Raises:
        ConfigError: It cannot be read, others can read it, or lines in it are wrong: all of them.

    Cost: some 2 ms for every passphrase; off the loop, please.
    """
    if path is None:
        return []
    try:
        # Not to wait for a writer, should it be a FIFO.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            octets = file.read(_MAX_OCTETS + 1) if stat.S_ISREG(status.st_mode) else None
    except OSError as exc:
        raise ConfigError([f"{SETTING}: cannot read {path}: {exc.strerror}"]) from exc
    if octets is None:
        raise ConfigError([f"{SETTING}: {path} is not a file"])
    if _is_open_to_others(status):
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError([f"{SETTING}: others can read {path} (mode {mode:o}); chmod 600 {path}"])
    if len(octets) > _MAX_OCTETS:
        raise ConfigError([f"{SETTING}: {path} is longer than {_MAX_OCTETS} octets"])
    try:
        text = octets.decode()
    except UnicodeDecodeError as exc:
        line = octets.count(b"\n", 0, exc.start) + 1
        raise ConfigError([f"{SETTING}: {path}, line {line}: is not UTF-8"]) from exc
    return parse_users(text, source=f"{SETTING}: {path}")


def _is_open_to_others(status: os.stat_result) -> bool:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == 0 and os.geteuid() != 0:
        # Root's file, lent to our group alone: so systemd hands credentials to a service.
        mode &= ~stat.S_IRGRP
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
