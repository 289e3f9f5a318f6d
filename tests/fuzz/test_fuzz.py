"""Every target for some seconds by both engines; script/fuzz --nightly takes ten minutes each."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import targets

FUZZ = Path(__file__).with_name("fuzz.py")
# Thirty seconds in all.
SECONDS = {"atheris": 3, "hypothesis": 2}
REQUIRED = "atheris" in os.environ.get("MUTTD_TEST_REQUIRE", "")
ENGINES = [
    pytest.param(
        "atheris",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("atheris") is None and not REQUIRED,
            reason="atheris is not installed; it is required by MUTTD_TEST_REQUIRE=atheris",
        ),
    ),
    "hypothesis",
]


@pytest.mark.parametrize("name", targets.targets())
@pytest.mark.parametrize("engine", ENGINES)
def test_octets_of_strangers_raise_nothing_but_peer_errors(
    engine: str, name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, FUZZ, "--engine", engine, "--seconds", str(SECONDS[engine]), name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("name", targets.targets())
def test_every_seed_is_taken_or_refused(name: str) -> None:
    target = targets.targets()[name]
    assert len(target.seeds) > 15
    for seed in target.seeds:
        target.feed(seed)
