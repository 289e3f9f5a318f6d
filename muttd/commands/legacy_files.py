"""Imported settings, written: an env file, and a file of its own for every secret, mode 600.

Nothing that somebody set is written over: a file that is there and says the same is left, one that
says otherwise ends the import before anything is written. An env file in which everything is
commented out, as it is installed, says nothing: ours are put behind its comments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from muttd.commands.outcome import EX_DATAERR, EX_NOPERM, CommandFailed
from muttd.errors import ConfigError, InvalidInput
from muttd.legacy.env_file import read_env
from muttd.legacy.env_map import EnvPlan
from muttd.legacy.findings import Finding, Verdict
from muttd.settings import load

_HEAD = "# Settings of muttd, taken over by muttd import-legacy. Then: muttd check-config\n"
# Characters that systemd's EnvironmentFile= and a shell take as they stand.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.,:/@%+=?&[]*")


def mistakes(plan: EnvPlan) -> Iterator[Finding]:
    """What the settings themselves say of what was mapped; they quote no value."""
    secrets = {name: secret.reveal() for name, secret in plan.secrets.items()}
    try:
        load({**plan.settings, **secrets})
    except ConfigError as exc:
        for mistake in exc.mistakes:
            name, _, text = str(mistake).partition(": ")
            yield Finding(Verdict.MEND, name, text)


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What is to be on the disk.

    Attributes:
        env_path: Of the env file.
        values: What that sets, by name.
        secrets: The other files, each with its text.
    """

    env_path: Path
    values: Mapping[str, str]
    secrets: Mapping[Path, str]


def planned(plan: EnvPlan, env_path: Path, secrets_dir: Path) -> FilePlan:
    """Every file that is wanted."""
    values, secrets = dict(plan.settings), {}
    for name, secret in plan.secrets.items():
        path = secrets_dir.absolute() / name.lower()
        secrets[path] = secret.reveal() + "\n"
        values[f"{name}_FILE"] = str(path)
    return FilePlan(env_path, values, secrets)


def write(plan: FilePlan, *, dry_run: bool) -> dict[str, str]:
    """Write what is not there; what was done, by path.

    Raises:
        CommandFailed: A file is there and says otherwise, or cannot be written.
    """
    wanted: dict[Path, tuple[str | None, str | None]] = {
        path: (_text_of(path), text) for path, text in plan.secrets.items()
    }
    others = [str(path) for path, (was, text) in wanted.items() if was not in (None, text)]
    was = _text_of(plan.env_path)
    set_before = _values_of(was, plan.env_path)
    if set_before not in ({}, plan.values):
        others.append(str(plan.env_path))
    if others:
        raise CommandFailed(
            f"already there, and saying otherwise: {', '.join(others)}; compare, and move them"
            " away or name others",
            EX_DATAERR,
        )
    # The env file that names the secrets comes last.
    wanted[plan.env_path] = (was, was if set_before == plan.values else _env_text(plan, was))
    done: dict[str, str] = {}
    for path, (before, text) in wanted.items():
        if before == text:
            done[str(path)] = "unchanged"
            continue
        if not dry_run:
            _create(path, text or "")
        done[str(path)] = "would be written" if dry_run else "written"
    return done


def _values_of(text: str | None, path: Path) -> dict[str, str]:
    try:
        return read_env(text or "")
    except InvalidInput as exc:
        raise CommandFailed(f"{path}: {exc}", EX_DATAERR) from exc


def _env_text(plan: FilePlan, before: str | None) -> str:
    lines = sorted(f"{name}={_quoted(value)}\n" for name, value in plan.values.items())
    head = f"{before}\n" if before else ""
    return head + _HEAD + "".join(lines)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandFailed(f"cannot read {path}: {exc}", EX_NOPERM) from exc


def _create(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                # Whose the directory is, he has to read what is in it: the daemon's user.
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        # Whole or not at all: half a secret is a wrong password.
        part.rename(path)
    except OSError as exc:
        raise CommandFailed(f"cannot write {path}: {exc.strerror}", EX_NOPERM) from exc


def _quoted(value: str) -> str:
    if set(value) <= _PLAIN:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped.replace("`", chr(92) + "`")}"'
