"""Commands and settings of a guide, section by section, to be run as they stand.

A test gives the paths that stand for those of the page, and what systemctl means: a server of its
own. Everything else is run by bash, word for word; the first command that fails ends it.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def blocks(page: str, section: str, language: str = "sh") -> list[str]:
    """The fenced blocks of one language under one heading of a page; "" is before the first."""
    bodies = sections(DOCS / page if page != "README.md" else ROOT / page)
    assert section in bodies, f"{page} has no section {section!r}"
    return [match[2] for match in _BLOCK.finditer(bodies[section]) if match[1] == language]


def sections(path: Path) -> dict[str, str]:
    """The text under each heading of the second level."""
    first, *others = re.split(r"^## (.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": first, **dict(zip(others[::2], others[1::2], strict=True))}


def every_command_block() -> Iterator[tuple[str, str, int]]:
    """Page, section and number, from 0, of every block of commands that a reader may type."""
    for path in sorted([ROOT / "README.md", *DOCS.rglob("*.md")]):
        page = path.name if path.parent == ROOT else str(path.relative_to(DOCS))
        for section in sections(path):
            for number in range(len(blocks(page, section))):
                yield page, section, number


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideShell:
    """A shell in which the paths of the page are others.

    Attributes:
        places: What stands for what, longest first where one begins another.
        services: What "systemctl VERB UNIT" does.
        prefix: Before bash, to be another user.
        environ: Besides PATH.
        cwd: Where it is run; where the tests are, without it.
    """

    places: Mapping[str, str]
    services: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    def translated(self, text: str) -> str:
        """The text with our paths in it."""
        for theirs, ours in self.places.items():
            text = text.replace(theirs, ours)
        return text

    def run(self, block: str) -> str:
        """Run a block; everything that it printed."""
        said, waiting = "", ""
        for line in block.splitlines(keepends=True):
            if line.startswith("systemctl "):
                said += self._bash(waiting)
                waiting = ""
                self.services[line.removeprefix("systemctl ").strip()]()
            else:
                waiting += line
        return said + self._bash(waiting)

    def _bash(self, commands: str) -> str:
        if not commands:
            return ""
        done = subprocess.run(
            [*self.prefix, "bash", "-euo", "pipefail", "-c", self.translated(commands)],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **self.environ},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def owned_directory() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A directory of the user that may run PostgreSQL, and what makes a command that user's."""
    with tempfile.TemporaryDirectory(prefix="muttd-guide-") as name:
        if os.geteuid() != 0:
            yield Path(name), ()
            return
        user = pwd.getpwnam("postgres")
        os.chown(name, user.pw_uid, user.pw_gid)
        ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        yield Path(name), ("setpriv", *ids, "--")
