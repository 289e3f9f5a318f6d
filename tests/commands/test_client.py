"""Where the key comes from, and what a person is told when the daemon says no."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from fake_api import KEY, FakeApi

from muttd.cli import main
from muttd.commands.client import Client
from muttd.settings_values import Secret


def test_the_key_is_found_in_the_state_directory(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.rules = []
    state_dir = str(Path(key_file).parent)
    rules = ["rules", "list", "--json", "--url", api.url]
    assert main([*rules, "--state-dir", state_dir], {}) == 0
    assert main(rules, {"MUTTD_STATE_DIR": state_dir}) == 0
    assert capsys.readouterr().out == "[]\n" * 2


def test_the_key_may_come_from_the_environment_or_a_file_or_stdin(
    api: FakeApi, key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ["rules", "list", "--url", api.url]
    assert main(rules, {"MUTTD_ADMIN_API_KEY": KEY}) == 0
    assert main([*rules, "--key-file", key_file], {}) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY + "\n"))
    assert main([*rules, "--key-file", "-"], {}) == 0


def test_no_key_exits_77_and_says_where_one_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"], {"MUTTD_STATE_DIR": str(tmp_path)}) == 77
    error = capsys.readouterr().err
    assert f"cannot read {tmp_path}/admin.key" in error
    assert "--state-dir" in error
    assert "--key-file" in error


@pytest.mark.parametrize("octets", [b"", b"two words", b"\xff\xfe"])
def test_a_file_that_holds_no_key_exits_77(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(octets)
    assert main(["status", "--key-file", str(path)], {}) == 77


def test_a_key_that_the_daemon_does_not_know_exits_77(
    api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "admin.key").write_text("wrong-key")
    assert main(["status", "--url", api.url, "--state-dir", str(tmp_path)], {}) == 77
    error = capsys.readouterr().err
    assert "refuses this API key: unknown API key" in error
    assert "wrong-key" not in error


def test_nobody_listening_exits_69(key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody else can take the port, and connecting is refused.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["status", "--url", url, "--key-file", key_file], {}) == 69
    assert "is muttd running there?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        ((503, {"error": "unavailable", "message": "the store is away"}), 69, "the store is away"),
        ((502, b"<html>"), 69, "HTTP status 502"),
        ((200, b"<html>"), 69, "is not muttd"),
        ((200, []), 69, "is not muttd"),
        ((404, {"error": "not_found", "message": "no such page"}), 65, "no such page"),
        ((404, b"[]"), 65, "HTTP status 404"),
        ((403, {"error": "forbidden", "message": "viewer or better"}), 77, "viewer or better"),
    ],
)
def test_what_the_daemon_says_decides_the_exit_code(
    api: FakeApi,
    key_file: str,
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, object],
    exit_code: int,
    said: str,
) -> None:
    api.answers["GET", "/api/v2/status"] = answer
    assert main(["status", "--url", api.url, "--key-file", key_file], {}) == exit_code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_url_that_is_none_exits_64(key_file: str) -> None:
    assert main(["status", "--url", "localhost:8080", "--key-file", key_file], {}) == 64


def test_a_proxy_of_the_environment_is_not_asked(
    api: FakeApi, key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert main(["rules", "list", "--url", api.url, "--key-file", key_file], {}) == 0


def test_a_ca_file_that_is_none_exits_66(
    key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ["status", "--url", "https://127.0.0.1:1", "--key-file", key_file]
    gone = str(tmp_path / "gone")
    assert main([*status, "--ca", gone], {}) == 66
    assert main(status, {"MUTTD_TLS_CA": gone}) == 66
    assert capsys.readouterr().err == f"muttd: cannot read {gone}: No such file or directory\n" * 2
    (tmp_path / "empty").touch()
    assert main([*status, "--ca", str(tmp_path / "empty")], {}) == 66
    assert "no CA certificates in" in capsys.readouterr().err


def test_https_is_verified_by_the_cas_of_the_machine_when_none_is_named(key_file: str) -> None:
    """Nobody listens there, and nothing else is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["status", "--url", f"https://127.0.0.1:{port}", "--key-file", key_file], {}) == 69
    Client(f"https://127.0.0.1:{port}", Secret("k")).__exit__()
