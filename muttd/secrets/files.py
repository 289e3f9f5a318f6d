"""A secret in a file: read whole, refused when others may read it, never shown.

NAME_FILE=PATH                     a file that the settings name
$CREDENTIALS_DIRECTORY/NAME        systemd's LoadCredential=NAME:PATH (systemd.exec(5))
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

# No key is longer; a device or a log file named by mistake must not fill the memory.
_MAX_OCTETS = 65536
_DIRECTORY = "CREDENTIALS_DIRECTORY"


def read_secret_file(path: str | Path, *, denied_mode: int = stat.S_IRWXO) -> str:
    """The text of a secret file, without the space around it.

    Args:
        path: Where it is.
        denied_mode: Bits of its mode that are refused.

    Raises:
        ValueError: It cannot be used; why, and the command that mends it. Quotes nothing of it.
    """
    try:
        with open(path, encoding="ascii") as secret_file:
            mode = stat.S_IMODE(os.fstat(secret_file.fileno()).st_mode)
            text = secret_file.read(_MAX_OCTETS).strip()
    except OSError as exc:
        raise ValueError(f"cannot read {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds something other than ASCII text") from None
    if mode & denied_mode:
        who = "everybody" if mode & stat.S_IRWXO else "its group"
        raise ValueError(f"{who} may read {path}; run: chmod 600 {path}")
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def credential_path(environ: Mapping[str, str], name: str) -> Path | None:
    """The file of a systemd credential; None when there is none of that name."""
    directory = environ.get(_DIRECTORY, "").strip()
    path = Path(directory, name)
    return path if directory and path.is_file() else None
