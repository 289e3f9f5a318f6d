"""muttd keys: what is asked of the API, what is printed where, and that a key is printed once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_api import FakeApi

from muttd.cli import main

PATH = "/api/v2/keys"


def a_key(**fields: Any) -> dict[str, Any]:
    """A key as the API shows it."""
    return {
        "id": 7,
        "name": "eve",
        "role": "viewer",
        "source": "store",
        "is_valid": True,
        "created_at": "2026-03-01T12:00:00.000000Z",
        "created_by": "ops",
        "expires_at": None,
        "revoked_at": None,
        **fields,
    }


def run(action: str, *arguments: str, api: FakeApi, key_file: str) -> int:
    return main(["keys", action, "--url", api.url, "--key-file", key_file, *arguments], {})


def test_a_new_key_alone_is_on_stdout(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["POST", PATH] = (201, a_key(key="s3cret"))
    arguments = ("eve", "--role", "viewer", "--reason", "new colleague")
    assert run("create", *arguments, api=api, key_file=key_file) == 0
    said = capsys.readouterr()
    assert said.out == "s3cret\n"
    assert said.err == "key 7 for eve (viewer); it is not shown again\n"
    [(_, _, _, body)] = api.calls
    assert body == {"name": "eve", "role": "viewer", "change_reason": "new colleague"}


def test_a_machine_gets_all_of_it(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = a_key(key="s3cret")
    api.answers["POST", PATH] = (201, made)
    assert run("create", "eve", "--role", "viewer", "--json", api=api, key_file=key_file) == 0
    assert json.loads(capsys.readouterr().out) == made


@pytest.mark.parametrize(
    ("expires", "span"),
    [("12h", timedelta(hours=12)), ("90d", timedelta(days=90)), ("4w", timedelta(weeks=4))],
)
def test_a_key_expires_after_a_span_or_at_a_time(
    api: FakeApi, key_file: str, expires: str, span: timedelta
) -> None:
    api.answers["POST", PATH] = (201, a_key(key="s3cret"))
    for given in (expires, "2030-01-31T00:00:00+02:00"):
        arguments = ("eve", "--role", "viewer", "--expires", given)
        assert run("create", *arguments, api=api, key_file=key_file) == 0
    by_span, by_time = [body["expires_at"] for _, _, _, body in api.calls]
    left = datetime.fromisoformat(by_span) - datetime.now(UTC)
    assert span - timedelta(minutes=1) < left <= span
    assert by_time == "2030-01-31T00:00:00+02:00"


def test_a_wrong_time_is_a_usage_error(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("eve", "--role", "viewer", "--expires", "soon")
    assert run("create", *arguments, api=api, key_file=key_file) == 64
    assert "--expires" in capsys.readouterr().err
    assert api.calls == []


def test_the_list_shows_who_has_a_key_and_on_request_who_had_one(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [
        a_key(id=None, name="admin", role="admin", source="configuration", created_at=None),
        a_key(name="eve\x1b[2J"),
        a_key(id=8, is_valid=False, revoked_at="2026-03-02T12:00:00.000000Z"),
        a_key(id=9, is_valid=False, expires_at="2026-03-02T12:00:00.000000Z"),
    ]
    api.answers["GET", PATH] = (200, {"keys": keys})
    assert run("list", api=api, key_file=key_file) == 0
    _, *shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["-", "7"]
    assert r"eve\x1b[2J" in shown[1]
    assert run("list", "--all", api=api, key_file=key_file) == 0
    _, *shown = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in shown] == ["valid", "valid", "revoked", "expired"]
    assert run("list", "--all", "--json", api=api, key_file=key_file) == 0
    assert json.loads(capsys.readouterr().out) == keys


def test_a_key_is_revoked_with_its_reason(
    api: FakeApi, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["DELETE", f"{PATH}/7"] = (204, b"")
    assert run("revoke", "7", "--reason", "left us", api=api, key_file=key_file) == 0
    assert run("revoke", "7", api=api, key_file=key_file) == 0
    assert [params for _, _, params, _ in api.calls] == [{"change_reason": "left us"}, {}]
    assert capsys.readouterr().err == "key 7 is revoked\n" * 2
