"""The state directory: where the embedded backends live, and the API keys of the first start.

    queue.db  store.db                 the queue and the store, unless they are Redis, PostgreSQL
    spool.db                           what was received while Redis was away
    rules.snapshot                     the last good rules
    instance.id                        which daemon this is
    mibs  mibs.compiled                operators' MIBs, and what came of them
    snmp.engine                        our SNMP engine ID, and how often it was started
    admin.key  ingest.key              mode 600; made when no key was configured

Nothing in it is readable by anybody but the daemon's user.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from muttd.errors import ConfigError

# 256 bits: nobody guesses it, and it still fits a line of a terminal.
_KEY_OCTETS = 32
# What a field value can carry in one piece (RFC 9110, 5.5).
_KEY = re.compile(r"[\x21-\x7e]+")
# Enough that no two of a cluster are alike, and short in a list of consumers.
_INSTANCE_OCTETS = 6
_INSTANCE_ID = re.compile(r"[0-9a-f]{12}")
# RFC 3411, 5, SnmpEngineID: the new form, the enterprise that is nobody's, octets of our choice.
_ENGINE_PREFIX = bytes.fromhex("8000000005")
_ENGINE_OCTETS = 12
_ENGINE = re.compile(r"([0-9a-f]{10,64}) ([0-9]{1,10})")
# RFC 3414, 2.2.2: an engine ID whose boots have come this far is used up.
_MAX_ENGINE_BOOTS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key in the state directory, and whether this start made it."""

    path: Path
    is_new: bool
    secret: str


def open_state_dir(path: Path) -> None:
    """Make the state directory if it is not there.

    Raises:
        ConfigError: It cannot be made, or it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError([f"MUTTD_STATE_DIR: {path} is not a directory"])
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            [
                f"MUTTD_STATE_DIR: cannot make {path}: {exc.strerror}; make it for the daemon's "
                f"user (install -d -m 700 -o USER {path}) or set MUTTD_STATE_DIR to another one"
            ]
        ) from exc
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(
            [f"MUTTD_STATE_DIR: {path} is not writable by this user (uid {os.geteuid()})"]
        )


def key_file(state_dir: Path, name: str) -> KeyFile:
    """The key of that name; made, mode 600, if it is not there.

    Raises:
        ConfigError: Others can read it, or it is empty or unreadable.
    """
    path = state_dir / f"{name}.key"
    try:
        if path.exists():
            return _present(path)
        secret = secrets.token_urlsafe(_KEY_OCTETS)
        _write(path, secret)
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}"]) from exc
    return KeyFile(path, True, secret)


def _write(path: Path, text: str) -> None:
    # Written aside and renamed: a crash leaves no empty file.
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    # The new name as well has to outlive a power cut.
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def instance_id(state_dir: Path) -> str:
    """Which daemon this is, among those that share a queue; made by the first start.

    It lives as long as the state directory, so that a daemon which was restarted gets back at
    once what it had taken from the queue.

    Raises:
        ConfigError: The file cannot be read or written, or holds something else.
    """
    path = state_dir / "instance.id"
    try:
        if not path.exists():
            _write(path, secrets.token_hex(_INSTANCE_OCTETS))
        text = path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}"]) from exc
    except UnicodeDecodeError:
        text = ""
    if not _INSTANCE_ID.fullmatch(text):
        raise ConfigError([f"{path}: is no instance id; remove the file to have a new one made"])
    return text


def snmp_engine(state_dir: Path) -> tuple[bytes, int]:
    """Our SNMP engine ID and its boots, counted up: call it once for every start.

    Returns:
        (snmpEngineID, snmpEngineBoots), already safe on the disk.

    Raises:
        ConfigError: The file cannot be read or written, or holds something else.

    Source: RFC 3414, 2.2.1.
    """
    path = state_dir / "snmp.engine"
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else None
        engine_id, boots = _next_boot(text)
        _write(path, f"{engine_id.hex()} {boots}")
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}"]) from exc
    except ValueError:
        raise ConfigError(
            [f"{path}: is no engine ID with its boots; remove the file to have a new one made"]
        ) from None
    return engine_id, boots


def _next_boot(text: str | None) -> tuple[bytes, int]:
    found = None if text is None else _ENGINE.fullmatch(text)
    if text is not None and found is None:
        raise ValueError
    if found is None or int(found[2]) >= _MAX_ENGINE_BOOTS - 1:
        return _ENGINE_PREFIX + secrets.token_bytes(_ENGINE_OCTETS), 1
    return bytes.fromhex(found[1]), int(found[2]) + 1


def _present(path: Path) -> KeyFile:
    if not path.is_file():
        raise ConfigError([f"{path}: is not a file; remove it to have a new key made"])
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError([f"{path}: others can read this key (mode {mode:o}); chmod 600 {path}"])
    try:
        secret = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    if not _KEY.fullmatch(secret):
        raise ConfigError(
            [f"{path}: is no key that a header can carry; remove the file to have a new one made"]
        )
    return KeyFile(path, False, secret)


def keys_or_made(state_dir: Path, name: str, *, is_configured: bool) -> list[KeyFile]:
    """The key files that stand in for keys which are not configured: none or one."""
    return [] if is_configured else [key_file(state_dir, name)]
