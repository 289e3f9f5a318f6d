"""Imported settings, written: an env file, and a file of its own for every secret, mode 600.

Nothing is written over: a file that is there and says the same is left, one that says otherwise
ends the import before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from muttd.commands.outcome import EX_DATAERR, EX_NOPERM, CommandFailed
from muttd.errors import ConfigError
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


def planned(plan: EnvPlan, env_path: Path, secrets_dir: Path) -> dict[Path, str]:
    """Every file with its text, secrets first: the env file that names them comes last."""
    files: dict[Path, str] = {}
    lines = [f"{name}={_quoted(value)}\n" for name, value in plan.settings.items()]
    for name, secret in plan.secrets.items():
        path = secrets_dir.absolute() / name.lower()
        files[path] = secret.reveal() + "\n"
        lines.append(f"{name}_FILE={_quoted(str(path))}\n")
    files[env_path] = _HEAD + "".join(sorted(lines))
    return files


def write(files: Mapping[Path, str], *, dry_run: bool) -> dict[str, str]:
    """Write what is not there; what was done, by path.

    Raises:
        CommandFailed: A file is there with another text, or cannot be written.
    """
    present = {path: _text_of(path) for path in files}
    others = [str(path) for path, text in files.items() if present[path] not in (None, text)]
    if others:
        raise CommandFailed(
            f"already there, and saying otherwise: {', '.join(others)}; compare, and move them"
            " away or name others",
            EX_DATAERR,
        )
    done: dict[str, str] = {}
    for path, text in files.items():
        if present[path] is not None:
            done[str(path)] = "unchanged"
            continue
        if not dry_run:
            _create(path, text)
        done[str(path)] = "would be written" if dry_run else "written"
    return done


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
