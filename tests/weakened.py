"""muttd with some of its defences taken out, to prove that the tests of attacks would notice.

    the package --copied--> a tree of its own --edited--> PYTHONPATH of a daemon

Whoever changes a defence finds its text here: an edit that does not fit any more fails.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import muttd

_PACKAGE = Path(muttd.__file__).parent


@dataclass(frozen=True, slots=True)
class Edit:
    """One place where a defence is taken out.

    Attributes:
        file: In the package.
        intact: The text of the defence, which is there once.
        weak: What is there instead.
    """

    file: str
    intact: str
    weak: str


def weakened(directory: Path, edits: Iterable[Edit]) -> dict[str, str]:
    """Make the tree, and give what a daemon's environment has to say to run it."""
    shutil.copytree(_PACKAGE, directory / "muttd", ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "sql").symlink_to(_PACKAGE.parent / "sql")
    for edit in edits:
        path = directory / "muttd" / edit.file
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.intact) == 1, f"{edit.file} has not once: {edit.intact}"
        path.write_text(text.replace(edit.intact, edit.weak), encoding="utf-8")
    # Safe path: the directory where the tests run is not searched before ours.
    return {"PYTHONPATH": str(directory), "PYTHONSAFEPATH": "1"}
