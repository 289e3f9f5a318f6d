"""muttd/destinations.py: the file, and every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from muttd.destinations import DestinationType, parse_headers, read_destinations
from muttd.errors import ConfigError


def written(path: Path, text: str, *, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def mistakes_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_destinations(path)
    prefix = f"MUTTD_DESTINATIONS_FILE: {path}: "
    return [each.removeprefix(prefix) for each in caught.value.mistakes]


def test_without_a_file_there_is_nothing() -> None:
    assert read_destinations(None).destinations == ()


def test_everything_may_be_said(tmp_path: Path) -> None:
    key = written(tmp_path / "key", "KEY-1\n")
    token = written(tmp_path / "token", "TOKEN-2")
    template = written(tmp_path / "body.j2", "{}", mode=0o644)
    path = written(
        tmp_path / "destinations.yaml",
        f"""
default: tickets
destinations:
  - name: tickets
    type: webhook
    url: https://tickets.example.net/hook
    auth_header: X-Api-Key
    key_file: {key}
    hmac_key_file: {key}
    template: {template}
    headers: {{X-Tenant: noc 1}}
    secret_headers: {{X-Token: {token}}}
    teams: [SRE, "NETO-*"]
    tls: {{ca: {key}}}
    timeout_s: 3
    rate_limit: 5
    concurrency: 2
  - name: lab-2
    type: moog
    url: http://127.0.0.1/hook
""",
    )
    file = read_destinations(path)
    tickets, lab = file.destinations
    assert file.default == "tickets"
    assert (tickets.type, tickets.template) == (DestinationType.WEBHOOK, "{}")
    assert tickets.key is not None
    assert tickets.key.reveal() == "KEY-1"
    assert tickets.headers == (("X-Tenant", "noc 1"),)
    assert [(name, value.reveal()) for name, value in tickets.secret_headers] == [
        ("X-Token", "TOKEN-2")
    ]
    assert tickets.teams == ("SRE", "NETO-*")
    assert (tickets.timeout_s, tickets.rate, tickets.concurrency) == (3, (5, 1.0), 2)
    assert (lab.key, lab.rate, lab.concurrency) == (None, None, 4)
    assert "KEY-1" not in repr(file)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    open_key = written(tmp_path / "open", "KEY-SECRET", mode=0o644)
    path = written(
        tmp_path / "destinations.yaml",
        f"""
destination: []
destinations:
  - name: Tickets!
    type: mail
    url: ftp://SECRET@host/
    key_file: {open_key}
    hmac_key_file: {tmp_path}/missing
    headers: {{Content-Type: text/plain}}
    teams: SRE
    timeout_s: 0
    colour: red
    tls: {{cert: {tmp_path}/missing, password: SECRET}}
  - name: twice
    url: http://h/
  - 7
  - {{name: twice, type: moog, url: "http://h/"}}
  - {{name: twice, type: moog, url: "http://h/"}}
""",
    )
    found = mistakes_of(path)
    assert sorted(each.partition(":")[0] for each in found) == [
        "destination",
        "destinations[1].colour",
        "destinations[1].headers",
        "destinations[1].hmac_key_file",
        "destinations[1].key_file",
        "destinations[1].name",
        "destinations[1].teams",
        "destinations[1].timeout_s",
        "destinations[1].tls.cert",
        "destinations[1].tls.password",
        "destinations[1].type",
        "destinations[1].url",
        "destinations[2].type",
        "destinations[3] must be a mapping",
        "name 'twice' is given twice",
    ]
    assert "SECRET" not in "".join(found)


@pytest.mark.parametrize("text", ["[1, 2]", "7", "{a: [", "\x00", "destinations: {}", "&a [*a]"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    assert mistakes_of(written(tmp_path / "f", text))


def test_a_file_that_is_not_there_or_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        [mistake] = mistakes_of(path)
        assert "cannot read" in mistake


def test_headers_are_read_from_one_text() -> None:
    assert parse_headers("") == ()
    assert parse_headers("X-A=1, X-B = two words") == (("X-A", "1"), ("X-B", "two words"))
    for wrong in ("X-A", "X A=1", "Host=x", "X-A=\x01"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_headers(wrong)
