"""muttd run, check-config, print-config: the settings decide before anything starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers.certificates import TlsParty

from muttd.cli import main
from muttd.settings import Settings
from muttd.settings_text import render_env_file

WRONG = {"MUTTD_HTPP": ":1", "MUTTD_DRAIN_S": "soon"}
MISTAKES = (
    "MUTTD_DRAIN_S: not a valid float\nMUTTD_HTPP: no such setting; did you mean MUTTD_HTTP?\n"
)


@pytest.mark.parametrize("command", [["check-config"], ["run"], [], ["print-config"]])
def test_wrong_settings_exit_78_with_every_mistake(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command, WRONG) == 78
    assert capsys.readouterr() == ("", MISTAKES)


def test_right_settings_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"], {"MUTTD_HTTP": ":8080"}) == 0
    assert capsys.readouterr().out == "The settings are right.\n"


def test_the_settings_in_force_are_shown_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"MUTTD_ADMIN_API_KEY": "hunter2", "MUTTD_DRAIN_S": "5"}
    assert main(["print-config"], environ) == 0
    assert main(["print-config", "--json"], environ) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    shown = json.loads(out[out.index("{") :])
    assert shown["MUTTD_DRAIN_S"] == {"value": "5", "source": "environment"}


def test_a_fresh_env_file_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["print-config", "--env-file"], {}) == 0
    assert capsys.readouterr().out == render_env_file()


def test_the_daemon_gets_the_settings_and_its_exit_code_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from muttd import daemon, logs

    seen: list[object] = []

    def fake_run(settings: Settings) -> int:
        seen.append(settings.drain_s)
        return 70

    monkeypatch.setattr(daemon, "run", fake_run)
    monkeypatch.setattr(logs, "configure", lambda *settings, **_: seen.append(settings[:2]))
    assert main([], {"MUTTD_DRAIN_S": "5"}) == 70
    assert seen == [("info", "text"), 5.0]


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "muttd", "check-config"],
        env={"PATH": os.environ["PATH"], **WRONG},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (78, MISTAKES)


def test_check_config_reads_the_certificates_that_the_daemon_would(
    tls_party: TlsParty, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, expired, gone = tls_party.server, tls_party.expired, tmp_path / "gone"
    good = {"MUTTD_TLS_CERT": str(server.cert), "MUTTD_TLS_KEY": str(server.key)}
    assert main(["check-config"], good) == 0
    assert main(["check-config"], {**good, "MUTTD_TLS_CERT": str(gone)}) == 78
    assert f"MUTTD_TLS_CERT: cannot read {gone}" in capsys.readouterr().err
    # The daemon would start with it, and say so.
    old = {"MUTTD_TLS_CERT": str(expired.cert), "MUTTD_TLS_KEY": str(expired.key)}
    assert main(["check-config"], old) == 0
    assert " expired at " in capsys.readouterr().err
