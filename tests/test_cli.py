"""The command line as a whole: exit codes, one-line errors, and readers that go away."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from muttd import __version__
from muttd.cli import build_parser, main
from muttd.commands import run
from muttd.commands.outcome import CommandFailed


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"], {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"muttd {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["status", "--no-such-option"], ["rules"], ["send"], ["send", "syslog"]],
)
def test_a_wrong_command_line_exits_64(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments, {})
    assert caught.value.code == 64
    assert "muttd: " in capsys.readouterr().err


def test_muttd_alone_runs_the_daemon() -> None:
    assert build_parser().parse_args([]).command is run.run_daemon


def test_no_option_takes_a_key_or_a_password() -> None:
    """Every user of the machine can read the arguments of a process."""

    def options(parser: argparse.ArgumentParser) -> list[str]:
        found: list[str] = []
        for action in parser._actions:
            found += action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    found += options(below)
        return found

    found = options(build_parser())
    assert "--key-file" in found
    assert {"--key", "--api-key", "--community", "--password"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(CommandFailed("it is away", 69), 69), (KeyboardInterrupt(), 130), (RuntimeError("bug"), 70)],
)
def test_how_a_command_ends_is_its_exit_code(
    error: BaseException,
    exit_code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(run, "check_config", fail)
    assert main(["check-config"], {}) == exit_code
    traceback_shown = "Traceback" in capsys.readouterr().err
    assert traceback_shown == (exit_code == 70)


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m muttd print-config --env-file | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, env={}
    )
    assert done.stdout in ("0\n", "141\n")
    assert done.stderr == ""
