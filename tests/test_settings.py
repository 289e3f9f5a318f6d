"""What an operator may write, what he is told when it is wrong, and what never shows."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from muttd.dynamic import ROWS, DynamicSettings
from muttd.errors import ConfigError
from muttd.settings import Settings, configured_keys, declared, load
from muttd.settings_table import Source
from muttd.settings_values import (
    Address,
    DatabaseUrl,
    LogFormat,
    LogLevel,
    RedisUrl,
    Secret,
)


def mistakes_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    return caught.value.mistakes


def test_an_empty_environment_gives_the_declared_defaults() -> None:
    settings = load({})
    assert settings == dataclasses.replace(Settings(), daemon_name=socket.gethostname())
    assert settings.http == (Address("::", 8080),)
    assert settings.syslog.udp == settings.syslog.tcp == (Address("::", 514),)
    assert settings.snmp.udp == (Address("::", 162),)
    assert settings.snmp.communities == (Secret("public"),)
    assert settings.keys.ingest == settings.keys.admin == ()
    assert settings.moog.webhook_url is None
    assert settings.moog.api_keys == ()
    assert set(settings.sources.values()) == {Source.DEFAULT}


def test_every_setting_can_be_set_by_its_name() -> None:
    settings = load(
        {
            "MUTTD_STATE_DIR": "/srv/mutt",
            "MUTTD_DAEMON_NAME": "collector-1",
            "MUTTD_LOG_LEVEL": "DEBUG",
            "MUTTD_LOG_FORMAT": "json",
            "MUTTD_DRAIN_S": "2.5",
            "MUTTD_SOURCES_FILE": "/etc/mutt/sources.conf",
            "MUTTD_UDP_RECEIVE_BUFFER_OCTETS": "65536",
            "MUTTD_HTTP": "127.0.0.1:0",
            "MUTTD_RULES_CHECK_INTERVAL_S": "0.5",
            "MUTTD_INGEST_API_KEY": "in",
            "MUTTD_ADMIN_API_KEY": "adm",
            "MUTTD_SYSLOG_UDP": "off",
            "MUTTD_SYSLOG_TCP": "10.0.0.1:601, [::1]:602",
            "MUTTD_SYSLOG_TLS": "10.0.0.1:6515",
            "MUTTD_SYSLOG_TLS_CERT": "/etc/mutt/syslog.pem",
            "MUTTD_SYSLOG_TLS_KEY": "/etc/mutt/syslog.key",
            "MUTTD_SYSLOG_TLS_CA": "/etc/mutt/devices.pem",
            "MUTTD_SYSLOG_TLS_CLIENT_CERT": "required",
            "MUTTD_SYSLOG_TLS_PEERS": "*.example, SHA-1:" + ":".join(["0a"] * 20),
            "MUTTD_SYSLOG_MAX_MESSAGE_OCTETS": "2048",
            "MUTTD_SYSLOG_IDLE_TIMEOUT_S": "60",
            "MUTTD_SYSLOG_MAX_CONNECTIONS": "10",
            "MUTTD_SYSLOG_MAX_CONNECTIONS_PER_PEER": "5",
            "MUTTD_SYSLOG_TIME_ZONE": "Europe/Berlin",
            "MUTTD_SNMP_UDP": ":1162",
            "MUTTD_SNMP_COMMUNITIES": "one, two",
            "MUTTD_SNMP_USERS_FILE": "/etc/mutt/snmp-users.conf",
            "MUTTD_SNMP_MIB_DIR": "/srv/mibs",
            "MUTTD_SNMP_MIB_CHECK_INTERVAL_S": "5",
            "MUTTD_REUSE_PORT": "true",
            "MUTTD_LOG_FILE": "/var/log/mutt/muttd.log",
            "MUTTD_HTTP_TLS": "on",
            "MUTTD_HTTP_TLS_CERT": "/etc/mutt/http.pem",
            "MUTTD_HTTP_TLS_KEY": "/etc/mutt/http.key",
            "MUTTD_HTTP_MAX_BODY_OCTETS": "4096",
            "MUTTD_HTTP_MAX_CONNECTIONS": "20",
            "MUTTD_HTTP_MAX_CONNECTIONS_PER_PEER": "20",
            "MUTTD_HTTP_REQUEST_TIMEOUT_S": "3",
            "MUTTD_HTTP_IDLE_TIMEOUT_S": "4",
            "MUTTD_HTTP_SEND_TIMEOUT_S": "5",
            "MUTTD_HTTP_INGEST_KEY_LIMIT": "1000",
            "MUTTD_HTTP_INGEST_SOURCE_LIMIT": "500",
            "MUTTD_HTTP_INGEST_WINDOW_S": "10",
            "MUTTD_INTAKE_BUFFER_EVENTS": "2000",
            "MUTTD_INTAKE_WAIT_S": "1",
            "MUTTD_QUEUE_MAX_EVENTS": "5000",
            "MUTTD_QUEUE_CLAIM_IDLE_S": "30",
            "MUTTD_ALERTER_BATCH_ENTRIES": "8",
            "MUTTD_MOOG_WEBHOOK_URL": "https://moog.example/events",
            "MUTTD_MOOG_API_KEY": "moo",
            "MUTTD_MOOG_AUTH_HEADER": "X-Moog-Key",
            "MUTTD_MOOG_TIMEOUT_S": "6",
            "MUTTD_MOOG_BACKOFF_BASE_S": "0.1",
            "MUTTD_MOOG_BACKOFF_CAP_S": "9",
            "MUTTD_REDIS_URL": "rediss+sentinel://s1:26379,s2:26379/mymaster/1",
            "MUTTD_REDIS_USERNAME": "muttd",
            "MUTTD_REDIS_PASSWORD": "red",
            "MUTTD_REDIS_SENTINEL_USERNAME": "watcher",
            "MUTTD_REDIS_SENTINEL_PASSWORD": "sent",
            "MUTTD_REDIS_TLS_CA": "/etc/mutt/redis-ca.pem",
            "MUTTD_REDIS_TLS_CERT": "/etc/mutt/redis.pem",
            "MUTTD_REDIS_TLS_KEY": "/etc/mutt/redis.key",
            "MUTTD_REDIS_PREFIX": "site-1",
            "MUTTD_REDIS_WAIT_REPLICAS": "2",
            "MUTTD_REDIS_WAIT_S": "0.25",
            "MUTTD_REDIS_TIMEOUT_S": "1",
            "MUTTD_DATABASE_URL": "postgresql://muttd@p1,p2/mutt?sslmode=verify-full",
            "MUTTD_DATABASE_PASSWORD": "post",
            "MUTTD_DATABASE_TLS_CA": "/etc/mutt/postgres-ca.pem",
            "MUTTD_DATABASE_TLS_CERT": "/etc/mutt/postgres.pem",
            "MUTTD_DATABASE_TLS_KEY": "/etc/mutt/postgres.key",
            "MUTTD_DATABASE_POOL_SIZE": "4",
            "MUTTD_DATABASE_TIMEOUT_S": "2",
            "MUTTD_AUTO_MIGRATE": "false",
            "MUTTD_TLS_CA": "/etc/mutt/ca.pem",
            "MUTTD_TLS_CERT": "/etc/mutt/cert.pem",
            "MUTTD_TLS_KEY": "/etc/mutt/key.pem",
            "MUTTD_TLS_REQUIRED": "true",
            "MUTTD_TLS_EXEMPT": "snmp",
            "MUTTD_TLS_MIN_VERSION": "1.3",
            "MUTTD_TLS_HANDSHAKE_S": "3",
            "VAULT_ADDR": "https://vault.example:8200",
            "VAULT_ROLE_ID": "role",
            "VAULT_SECRET_ID_FILE": "/srv/secret-id",
            "VAULT_SECRET_ID_WRAPPED": "true",
            "VAULT_CACERT": "/etc/mutt/vault.pem",
            "VAULT_CLIENT_CERT": "/etc/mutt/vault-client.pem",
            "VAULT_CLIENT_KEY": "/etc/mutt/vault-client.key",
            "VAULT_NAMESPACE": "noc",
            "VAULT_AUTH_MOUNT": "hosts",
            "VAULT_SECRETS_MOUNT": "kv",
            "VAULT_SECRETS_PATH": "prod/mutt",
            "VAULT_REREAD_S": "60",
            "VAULT_TIMEOUT_S": "3",
            "MUTTD_SPOOL_MAX_BYTES": "2000000",
            "MUTTD_ARCHIVE_DIR": "/srv/archive",
            **{row.name: "60" for row in ROWS.values()},
            "MUTTD_ALERTER_MAX_RETRIES": "4",
            "MUTTD_HISTORY_DAYS": "0",
            "MUTTD_MOOG_RATE_PERIOD_S": "2",
            "MUTTD_MOOG_HEADERS": "X-Tenant=noc",
            "MUTTD_MOOG_TLS_CA": "/etc/mutt/moog-ca.pem",
            "MUTTD_MOOG_TLS_CERT": "/etc/mutt/moog.pem",
            "MUTTD_MOOG_TLS_KEY": "/etc/mutt/moog.key",
            "MUTTD_MOOG_CONCURRENCY": "8",
            "MUTTD_DESTINATIONS_FILE": "/etc/mutt/destinations.yaml",
        }
    )
    # A setting that is declared and not named above would still have its default.
    assert set(settings.sources.values()) == {Source.ENVIRONMENT}
    assert (settings.state_dir, settings.daemon_name) == (Path("/srv/mutt"), "collector-1")
    assert (settings.log_level, settings.log_format) == (LogLevel.DEBUG, LogFormat.JSON)
    assert (settings.drain_s, settings.dynamic.history_days) == (2.5, 0)
    assert settings.http == (Address("127.0.0.1", 0),)
    assert settings.syslog.udp == ()
    assert settings.syslog.tcp == (Address("10.0.0.1", 601), Address("::1", 602))
    assert str(settings.syslog.time_zone) == "Europe/Berlin"
    assert settings.snmp.udp == (Address("::", 1162),)
    assert settings.snmp.communities == (Secret("one"), Secret("two"))
    assert settings.snmp.users_file == Path("/etc/mutt/snmp-users.conf")
    assert settings.http_server.max_body_octets == 4096
    assert (settings.intake.buffer_events, settings.queue.max_events) == (2000, 5000)
    assert (settings.dynamic.alerter_max_retries, settings.alerter.batch_entries) == (4, 8)
    assert settings.moog.webhook_url == "https://moog.example/events"
    assert settings.moog.api_keys == (Secret("moo"),)
    assert (settings.moog.auth_header, settings.moog.backoff_cap_s) == ("X-Moog-Key", 9.0)
    assert settings.redis.url == RedisUrl("rediss+sentinel://s1:26379,s2:26379/mymaster/1")
    assert settings.redis.passwords == (Secret("red"),)
    assert (settings.redis.prefix, settings.redis.wait_replicas) == ("site-1", 2)
    assert settings.database.url == DatabaseUrl("postgresql://muttd@p1,p2/mutt?sslmode=verify-full")
    assert (settings.database.pool_size, settings.database.auto_migrate) == (4, False)
    assert settings.tls.ca == Path("/etc/mutt/ca.pem")
    assert (settings.tls.min_version, settings.tls.handshake_s) == ("1.3", 3.0)
    assert settings.syslog_tls == (Address("10.0.0.1", 6515),)
    assert settings.syslog.tls_peers == ("*.example", "sha-1:" + ":".join(["0A"] * 20))
    assert settings.is_https
    assert (settings.vault.role_id, settings.vault.secrets_path) == (Secret("role"), "prod/mutt")
    assert (settings.vault.reread_s, settings.vault.secret_id_wrapped) == (60.0, True)
    assert settings.spool.max_octets == 2_000_000
    assert settings.retention.archive_dir == Path("/srv/archive")
    assert settings.dynamic == dataclasses.replace(
        DynamicSettings(**dict.fromkeys(ROWS, 60)),  # type: ignore[arg-type]  # one is text
        unhandled_default_team="60",
        alerter_max_retries=4,
        history_days=0,
        moog_rate_period=2.0,
    )
    assert configured_keys(settings) == set(ROWS)


def test_neither_backend_needs_the_other() -> None:
    assert load({"MUTTD_REDIS_URL": "redis://h"}).database.url is None
    assert load({"MUTTD_DATABASE_URL": "postgresql://h/d"}).redis.url is None


@pytest.mark.parametrize("prefix", ["MUTTD_TLS", "MUTTD_SYSLOG_TLS", "MUTTD_HTTP_TLS"])
@pytest.mark.parametrize("name", ["CERT", "KEY"])
def test_a_certificate_and_its_key_go_together(prefix: str, name: str) -> None:
    [mistake] = mistakes_of({f"{prefix}_{name}": "/etc/mutt/file.pem"})
    assert mistake == f"{prefix}_CERT: goes with {prefix}_KEY; set both or neither"


CERT = {"MUTTD_TLS_CERT": "/etc/mutt/cert.pem", "MUTTD_TLS_KEY": "/etc/mutt/key.pem"}


def test_a_certificate_turns_tls_on_for_syslog_and_http() -> None:
    assert load({}).syslog_tls == ()
    assert not load({}).is_https
    assert load(CERT).syslog_tls == (Address("::", 6514),)
    assert load(CERT).is_https
    off = load({**CERT, "MUTTD_SYSLOG_TLS": "off", "MUTTD_HTTP_TLS": "off"})
    assert off.syslog_tls == ()
    assert not off.is_https


@pytest.mark.parametrize(
    ("environ", "mistake"),
    [
        (
            {"MUTTD_SYSLOG_TLS": ":6514"},
            "MUTTD_SYSLOG_TLS: needs a certificate: set MUTTD_TLS_CERT, MUTTD_TLS_KEY",
        ),
        (
            {"MUTTD_HTTP_TLS": "on"},
            "MUTTD_HTTP_TLS: needs a certificate: set MUTTD_TLS_CERT, MUTTD_TLS_KEY",
        ),
        (
            {**CERT, "MUTTD_SYSLOG_TLS_CLIENT_CERT": "optional"},
            "MUTTD_SYSLOG_TLS_CLIENT_CERT: needs MUTTD_SYSLOG_TLS_CA or MUTTD_TLS_CA",
        ),
        (
            {**CERT, "MUTTD_SYSLOG_TLS_PEERS": "*.example"},
            "MUTTD_SYSLOG_TLS_PEERS: needs MUTTD_SYSLOG_TLS_CLIENT_CERT=required",
        ),
    ],
)
def test_tls_that_cannot_be_is_refused(environ: dict[str, str], mistake: str) -> None:
    assert mistakes_of(environ) == (mistake,)


def test_syslog_over_tls_that_is_off_needs_no_certificate() -> None:
    assert load({"MUTTD_SYSLOG_TLS": "off"}).syslog_tls == ()


def test_every_mistake_is_reported_at_once_with_the_name_meant() -> None:
    assert mistakes_of(
        {
            "MUTTD_SYSLOG_UDPP": "1",
            "MUTTD_HISTORY_DAYS": "x",
            "MUTTD_QUEUE_CLAIM_IDLE_S": "0",
            "MUTTD_ALERTER_BATCH_ENTRIES": "1001",
            "MUTTD_LOG_LEVEL": "loud",
        }
    ) == (
        "MUTTD_LOG_LEVEL: must be one of debug, info, warning, error",
        "MUTTD_QUEUE_CLAIM_IDLE_S: must be at least 1 seconds",
        "MUTTD_ALERTER_BATCH_ENTRIES: must be at most 1000",
        "MUTTD_HISTORY_DAYS: not a valid int",
        "MUTTD_SYSLOG_UDPP: no such setting; did you mean MUTTD_SYSLOG_UDP?",
    )


def test_a_name_like_no_other_gets_no_guess() -> None:
    assert mistakes_of({"MUTTD_XYZZY_QWRTP": "1"}) == ("MUTTD_XYZZY_QWRTP: no such setting",)


def test_a_client_forgives_names_it_does_not_know_and_no_other_mistake() -> None:
    unknown = {"MUTTD_OF_TOMORROW": "1"}
    assert load(unknown, forgive_unknown=True) == load({})
    with pytest.raises(ConfigError):
        load({**unknown, "MUTTD_DRAIN_S": "x"}, forgive_unknown=True)


def test_names_of_others_are_not_ours_to_judge() -> None:
    assert load({"PATH": "/bin", "MUTT_EDITOR": "vi", "muttd_http": "x"}) == load({})


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_value_means_the_default(empty: str) -> None:
    assert load({row.name: empty for row in declared()}) == load({})
    assert load({"MUTTD_ADMIN_API_KEY_FILE": empty, "MUTTD_ADMIN_API_KEY": "k"}).keys.admin


def test_ports_are_shared_only_by_daemons_that_share_all_else() -> None:
    urls = {"MUTTD_REDIS_URL": "redis://r", "MUTTD_DATABASE_URL": "postgresql://mutt@p/mutt"}
    assert load({"MUTTD_REUSE_PORT": "true", **urls}).reuse_port
    for missing in urls:
        kept = {name: url for name, url in urls.items() if name != missing}
        with pytest.raises(ConfigError, match="MUTTD_REUSE_PORT: needs"):
            load({"MUTTD_REUSE_PORT": "true", **kept})


def test_the_longest_wait_is_not_below_the_first_one() -> None:
    assert mistakes_of({"MUTTD_MOOG_BACKOFF_BASE_S": "10", "MUTTD_MOOG_BACKOFF_CAP_S": "5"}) == (
        "MUTTD_MOOG_BACKOFF_CAP_S: must be at least MUTTD_MOOG_BACKOFF_BASE_S",
    )


def test_every_declaration_is_whole() -> None:
    rows = declared()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.name.startswith("VAULT_" if row.path[0] == "vault" else "MUTTD_")
        assert row.text.endswith("."), row.name
        unit = {"_s": "seconds", "_octets": "octets", "_days": "days", "_events": "events"}
        unit |= {"_months": "months"}
        for suffix, word in unit.items():
            if row.path[-1].endswith(suffix):
                assert row.unit == word, row.name
        if isinstance(row.default, int | float) and not isinstance(row.default, bool):
            assert row.at_least is not None, row.name
