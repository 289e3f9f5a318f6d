"""What an administrator puts where a secret is looked for."""

from __future__ import annotations

from pathlib import Path


def deliver(path: Path, text: str | None) -> None:
    """What an administrator puts there; None: removes it."""
    path.unlink(missing_ok=True)
    if text is not None:
        path.touch(0o600)
        path.write_text(text)
