"""Fixtures of the commands' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import KEY, FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The stand-in, listening."""
    with FakeApi() as api:
        yield api


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """A file with a key that the stand-in knows."""
    path = tmp_path / "admin.key"
    path.write_text(KEY + "\n")
    return str(path)
