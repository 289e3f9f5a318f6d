"""The predecessor's environment, name by name."""

from __future__ import annotations

import pytest

from muttd.legacy.env_map import EnvPlan, map_environment
from muttd.legacy.env_table import DATABASE, HTTP, LEFT, MOVED, REDIS, SECRETS, SWITCHES
from muttd.legacy.findings import Verdict
from muttd.settings import declared, load


def mapped(**values: str) -> EnvPlan:
    return map_environment(values, database="muttd")


def verdicts(plan: EnvPlan) -> dict[str, Verdict]:
    return {finding.what: finding.verdict for finding in plan.findings}


def test_every_setting_that_a_name_is_mapped_to_exists() -> None:
    known = {name for row in declared() for name in row.names}
    ours = {ours for ours, _ in MOVED.values()} | {ours for ours, _ in SWITCHES.values()}
    assert ours | set(SECRETS.values()) <= known


def test_no_name_is_in_two_parts_of_the_table() -> None:
    composed = [
        name for part in (REDIS, DATABASE, HTTP) for names in part.values() for name in names
    ]
    names = [*MOVED, *SECRETS, *LEFT, *SWITCHES, *composed]
    assert len(names) == len(set(names))


def test_the_environment_of_a_server_becomes_settings_that_load() -> None:
    plan = mapped(
        REDIS_HOST="redis.example.net",
        REDIS_PORT="6380",
        REDIS_CA_CERT_PATH="",
        REDIS_PASS="r-secret",
        DB_HOST="db.example.net",
        DB_NAME="mutt_db",
        DB_USER="mutt_app",
        DB_PASS_CURRENT="d-secret",
        DB_PASS_NEXT="d-next",
        SERVER_PORT_INGESTOR="8443",
        MOOG_WEBHOOK_URL="https://moog.example.net/hook",
        MOOG_WEBHOOK_TIMEOUT="10   # seconds",
        MOOG_API_KEY="m-secret",
        INGEST_API_KEY="i" * 20,
        WEBUI_API_KEY="w" * 20,
        LOG_LEVEL="CRITICAL",
        RETENTION_EVENT_AUDIT_DAYS="91",
        UNHANDLED_EXPIRY_SECONDS="3600",
        DB_POOL_MAX_CONN="1",
        POD_NAME="alerter-1",
    )
    assert plan.settings == {
        "MUTTD_REDIS_URL": "rediss://redis.example.net:6380/0",
        "MUTTD_DATABASE_URL": "postgresql://mutt_app@db.example.net:5432/muttd?sslmode=require",
        "MUTTD_HTTP": "[::]:8443",
        "MUTTD_MOOG_WEBHOOK_URL": "https://moog.example.net/hook",
        "MUTTD_MOOG_TIMEOUT_S": "10",
        "MUTTD_LOG_LEVEL": "error",
        "MUTTD_EVENT_RETENTION_MONTHS": "4",
        "MUTTD_UNHANDLED_WINDOW_SECONDS": "3600",
        "MUTTD_DATABASE_POOL_SIZE": "2",
    }
    assert set(plan.secrets) == {
        *("MUTTD_REDIS_PASSWORD", "MUTTD_DATABASE_PASSWORD", "MUTTD_DATABASE_PASSWORD_NEXT"),
        *("MUTTD_MOOG_API_KEY", "MUTTD_INGEST_API_KEY", "MUTTD_ADMIN_API_KEY"),
    }
    assert Verdict.MEND not in verdicts(plan).values()
    assert verdicts(plan)["POD_NAME"] is Verdict.LEFT
    secrets = {name: secret.reveal() for name, secret in plan.secrets.items()}
    assert load({**plan.settings, **secrets}).redis.url


def test_no_finding_quotes_a_value() -> None:
    plan = mapped(
        MY_TOKEN="hunter2", REDIS_PASS="hunter2", LOG_LEVEL="hunter2", REDIS_TLS_ENABLED="hunter2",
        DB_TLS_ENABLED="hunter2", MAX_POISON_RETRIES="hunter2", REMEDIATION_ENABLED="hunter2",
        MOOG_TIMEOUT="hunter2", LOG_JSON_ENABLED="hunter2",
    )  # fmt: skip
    assert "hunter2" not in repr(plan)
    told = verdicts(plan)
    assert told.pop("REDIS_PASS") is Verdict.MAPPED
    assert set(told.values()) == {Verdict.MEND}
    assert len(told) == 8


def test_the_second_generation_of_names_is_known() -> None:
    plan = mapped(
        POSTGRES_HOST="2001:db8::5", POSTGRES_DB="mutt", POSTGRES_TLS_ENABLED="true",
        POSTGRES_TLS_CA_CERT="/etc/mutt/certs/ca.pem", REDIS_TLS_ENABLED="false",
        INGESTOR_HOST="0.0.0.0",
        REMEDIATION_ENABLED="false", RETENTION_ENABLED="true", LOG_FORMAT="json",
        CIRCUIT_BREAKER_TIMEOUT="1.5",
    )  # fmt: skip
    assert plan.settings == {
        "MUTTD_DATABASE_URL": "postgresql://mutt_user@[2001:db8::5]:5432/muttd?sslmode=verify-full",
        "MUTTD_DATABASE_TLS_CA": "/etc/mutt/certs/ca.pem",
        "MUTTD_REDIS_URL": "redis://localhost:6379/0",
        "MUTTD_HTTP": "[::]:8080",
        "MUTTD_REMEDIATION_INTERVAL": "0",
        "MUTTD_LOG_FORMAT": "json",
        "MUTTD_BREAKER_OPEN_SECONDS": "1.5",
    }


def test_a_setting_of_two_names_has_the_first_value() -> None:
    plan = mapped(MOOG_WEBHOOK_TIMEOUT="7", MOOG_TIMEOUT="8", DB_PASS="a", DB_PASSWORD="b")
    assert plan.settings == {"MUTTD_MOOG_TIMEOUT_S": "7"}
    assert plan.secrets["MUTTD_DATABASE_PASSWORD"].reveal() == "a"
    assert verdicts(plan)["MOOG_TIMEOUT"] is Verdict.LEFT
    assert verdicts(plan)["DB_PASSWORD"] is Verdict.LEFT


def test_the_predecessors_database_is_never_taken_for_ours() -> None:
    plan = mapped(DB_HOST="db", DB_NAME="muttd")
    assert "MUTTD_DATABASE_URL" not in plan.settings
    assert plan.findings[0].verdict is Verdict.MEND
    assert "--new-database" in plan.findings[0].text


@pytest.mark.parametrize(("path", "ours"), [(None, "secret/mutt"), ("mutt/prod", "mutt/prod")])
def test_vault_keeps_its_path_and_is_told_the_new_names(path: str | None, ours: str) -> None:
    values = {"VAULT_ADDR": "https://vault:8200", "VAULT_TOKEN": "hunter2"}
    if path is not None:
        values["VAULT_SECRET_PATH"] = path
    plan = mapped(**values)
    assert plan.settings["VAULT_SECRETS_PATH"] == ours
    assert "hunter2" not in repr(plan)
    [renamed] = [each.text for each in plan.findings if each.what == "the secret in Vault"]
    assert "REDIS_PASS_CURRENT to MUTTD_REDIS_PASSWORD" in renamed


def test_our_own_settings_are_kept() -> None:
    plan = mapped(MUTTD_HTTP="[::]:80")
    assert plan.settings == {}
    assert verdicts(plan) == {"MUTTD_HTTP": Verdict.LEFT}
