"""The SELinux module compiles against the reference policy, and names what the daemon has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "deploy" / "selinux"
MAKEFILE = Path("/usr/share/selinux/devel/Makefile")

needs_policy = pytest.mark.skipif(
    not MAKEFILE.exists() and "selinux" not in os.environ.get("MUTTD_TEST_REQUIRE", ""),
    reason="the policy's headers are not installed (Debian: apt-get install selinux-policy-dev)",
)


@needs_policy
def test_the_module_compiles_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path, dirs_exist_ok=True)
    done = subprocess.run(
        ["make", "-f", MAKEFILE, "muttd.pp"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert (tmp_path / "muttd.pp").stat().st_size > 0


def test_every_path_of_the_layout_has_a_context_of_its_own() -> None:
    text = (SOURCES / "muttd.fc").read_text()
    rules = re.findall(r"^(\S+)\s.*:(\w+_t),s0\)$", text, re.MULTILINE)
    # The last expression that matches wins, as in file_contexts(5) for entries of one stem.
    found = {
        path: next(kind for pattern, kind in reversed(rules) if re.fullmatch(pattern, path))
        for path in (
            "/etc/mutt/mutt.env",
            "/etc/mutt/certs/server.key",
            "/etc/mutt/secrets/vault_secret_id",
            "/var/lib/mutt/store.db",
            "/var/log/mutt/muttd.log",
        )
    }
    assert found == {
        "/etc/mutt/mutt.env": "muttd_conf_t",
        "/etc/mutt/certs/server.key": "muttd_secret_t",
        "/etc/mutt/secrets/vault_secret_id": "muttd_secret_t",
        "/var/lib/mutt/store.db": "muttd_var_lib_t",
        "/var/log/mutt/muttd.log": "muttd_log_t",
    }
