"""MUTTD_TLS_REQUIRED: every link in the clear is named, and none that is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from muttd.clear_links import refuse_clear_links
from muttd.destinations import DestinationConfig, DestinationType
from muttd.errors import ConfigError
from muttd.protocol.usm_users import UsmUser, parse_users
from muttd.settings import load
from muttd.settings_values import Url

OFF = {"MUTTD_SYSLOG_UDP": "off", "MUTTD_SYSLOG_TCP": "off", "MUTTD_HTTP": "off"}
REQUIRED = {"MUTTD_TLS_REQUIRED": "true"}
CERT = {"MUTTD_TLS_CERT": "/c", "MUTTD_TLS_KEY": "/k"}


def clear(
    environ: dict[str, str],
    users: Sequence[UsmUser] = (),
    destinations: Sequence[DestinationConfig] = (),
) -> list[str]:
    """The settings of the links that are refused."""
    try:
        refuse_clear_links(load(environ), users, destinations)
    except ConfigError as exc:
        return [mistake.partition(":")[0] for mistake in exc.mistakes]
    return []


def test_nothing_is_refused_where_tls_is_not_required() -> None:
    assert clear({"MUTTD_REDIS_URL": "redis://h"}) == []


def test_the_listeners_of_a_fresh_daemon_are_named() -> None:
    assert clear(REQUIRED) == ["MUTTD_SYSLOG_UDP", "MUTTD_SYSLOG_TCP", "MUTTD_HTTP"]


def test_a_listener_that_is_off_or_speaks_tls_is_no_link_in_the_clear() -> None:
    assert clear(REQUIRED | OFF) == []
    https = {name: value for name, value in OFF.items() if name != "MUTTD_HTTP"}
    assert clear(REQUIRED | https) == ["MUTTD_HTTP"]
    assert clear(REQUIRED | https | CERT) == []
    assert clear(REQUIRED | https | CERT | {"MUTTD_HTTP_TLS": "off"}) == ["MUTTD_HTTP"]


def test_devices_that_speak_nothing_else_are_exempted_by_name() -> None:
    environ = REQUIRED | CERT | {"MUTTD_SNMP_COMMUNITIES": "site"}
    assert clear(environ) == ["MUTTD_SYSLOG_UDP", "MUTTD_SYSLOG_TCP", "MUTTD_SNMP_COMMUNITIES"]
    exempt = {"MUTTD_TLS_EXEMPT": "syslog_udp, snmp"}
    assert clear(environ | exempt) == ["MUTTD_SYSLOG_TCP"]
    assert clear({"MUTTD_TLS_EXEMPT": "http"}) == ["MUTTD_TLS_EXEMPT"]


def test_a_user_of_snmpv3_without_encryption_is_named() -> None:
    text = "createUser nobody\ncreateUser half SHA authpass12\n"
    users = parse_users(text + "createUser whole SHA authpass12 AES privpass12\n", source="users")
    assert clear(REQUIRED | OFF, users) == ["MUTTD_SNMP_USERS_FILE"] * 2
    assert clear(REQUIRED | OFF | {"MUTTD_SNMP_UDP": "off"}, users) == []


@pytest.mark.parametrize(
    ("url", "is_clear"),
    [
        ("redis://h:6379", True),
        ("redis+sentinel://h/s", True),
        ("rediss://h", False),
        ("rediss+sentinel://h/s", False),
    ],
)
def test_the_way_to_redis_is_encrypted_or_named(url: str, is_clear: bool) -> None:
    assert clear(REQUIRED | OFF | {"MUTTD_REDIS_URL": url}) == ["MUTTD_REDIS_URL"] * is_clear


@pytest.mark.parametrize(
    ("url", "is_clear"),
    [
        ("postgresql://me:p%40ss@h/d", True),
        ("postgresql://h,i/d?sslmode=prefer", True),
        ("postgresql://h/d?sslmode=require", True),
        ("postgresql://h/d?sslmode=verify-ca", False),
        ("postgresql://h:1,i:2/d?sslmode=verify-full&target_session_attrs=any", False),
        ("postgresql:///d", False),
        ("postgresql://%2Frun%2Fpostgresql/d", False),
        ("postgresql:///d?host=/run/postgresql", False),
        ("postgresql:///d?host=h", True),
    ],
)
def test_the_way_to_postgresql_is_verified_or_named(url: str, is_clear: bool) -> None:
    environ = REQUIRED | OFF | {"MUTTD_DATABASE_URL": url}
    assert clear(environ) == ["MUTTD_DATABASE_URL"] * is_clear


def test_the_webhook_and_vault_are_encrypted_or_named() -> None:
    environ = REQUIRED | OFF | {"VAULT_ROLE_ID": "r"}
    http = {"MUTTD_MOOG_WEBHOOK_URL": "http://m/e", "VAULT_ADDR": "http://v:8200"}
    assert clear(environ | http) == ["MUTTD_MOOG_WEBHOOK_URL", "VAULT_ADDR"]
    https = {name: url.replace("http:", "https:") for name, url in http.items()}
    assert clear(environ | https) == []


def test_every_destination_is_encrypted_or_named_once() -> None:
    moog, other = (
        DestinationConfig(name=name, type=DestinationType.WEBHOOK, url=Url(f"http://{name}/e"))
        for name in ("moog", "other")
    )
    safe = DestinationConfig(name="safe", type=DestinationType.MOOG, url=Url("https://safe/e"))
    environ = REQUIRED | OFF | {"MUTTD_MOOG_WEBHOOK_URL": moog.url}
    named = clear(environ, destinations=[moog, other, safe])
    assert named == ["MUTTD_MOOG_WEBHOOK_URL", "MUTTD_DESTINATIONS_FILE"]


@pytest.mark.parametrize("command", ["run", "check-config"])
def test_the_daemon_names_every_one_and_does_not_start(command: str, tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "muttd", command],
        env={
            "PATH": os.environ["PATH"],
            "MUTTD_STATE_DIR": str(tmp_path / "state"),
            "MUTTD_REDIS_URL": "redis://user:hunter2@127.0.0.1:1",
            "MUTTD_DATABASE_URL": "postgresql://u:hunter3@127.0.0.1:1/d",
            **REQUIRED,
        },
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 78
    named = [line.partition(":")[0].split()[-1] for line in refused.stderr.splitlines()]
    assert named == [
        "MUTTD_SYSLOG_UDP",
        "MUTTD_SYSLOG_TCP",
        "MUTTD_HTTP",
        "MUTTD_REDIS_URL",
        "MUTTD_DATABASE_URL",
    ]
    assert "hunter" not in refused.stderr
