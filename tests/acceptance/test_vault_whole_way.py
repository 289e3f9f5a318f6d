"""A daemon whose secrets are all in Vault: away at the start, away later, changed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_daemon import RunningDaemon, ScriptedWebhook, a_rule, eventually
from servers.certificates import make_certificates
from servers.redis_server import RedisServer, RedisSetup, needs_redis, redis_server
from servers.vault_server import VaultServer, vault_environ, vault_server

from muttd.queue.redis_keys import acl_rule

pytestmark = [pytest.mark.acceptance, needs_redis]

Start = Callable[..., RunningDaemon]
SECRETS = {
    "MUTTD_REDIS_PASSWORD": "redis-s3cret",
    "MUTTD_ADMIN_API_KEY": "admin-s3cret",
    "MUTTD_INGEST_API_KEY": "ingest-s3cret",
    "MUTTD_MOOG_API_KEY": "moog-s3cret",
}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server(RedisSetup(users=[f"mutt on >redis-s3cret {acl_rule('mutt')}"])) as server:
        yield server


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultServer]:
    (tmp_path / "tls").mkdir()
    with vault_server(make_certificates(tmp_path / "tls")) as vault:
        vault.put(SECRETS)
        yield vault


@pytest.fixture
def environ(
    vault: VaultServer, redis: RedisServer, webhook: ScriptedWebhook, tmp_path: Path
) -> dict[str, str]:
    return {
        "MUTTD_REDIS_URL": redis.url(),
        "MUTTD_REDIS_USERNAME": "mutt",
        "MUTTD_MOOG_WEBHOOK_URL": webhook.url,
        **vault_environ(vault, tmp_path),
    }


def post(daemon: RunningDaemon, path: str, key: str, body: Any) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{daemon.url}{path}", headers={"X-API-KEY": key}, json=body)


def ingest(daemon: RunningDaemon, text: str, key: str = "ingest-s3cret") -> int:
    return post(daemon, "/ingest", key, {"message": text, "hostname": "h"}).status_code


def get(daemon: RunningDaemon, path: str) -> Any:
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{daemon.url}{path}", headers={"X-API-KEY": "admin-s3cret"})
        assert answer.status_code == 200, answer.text
        return answer.json()


def stored(daemon: RunningDaemon) -> list[str]:
    return sorted(event["message"] for event in get(daemon, "/api/v2/events")["events"])


def unready(daemon: RunningDaemon) -> list[str]:
    with httpx.Client(trust_env=False) as client:
        dependencies = client.get(f"{daemon.url}/readyz").json()["dependencies"]
    return [name for name, each in dependencies.items() if not each["ok"]]


def test_a_daemon_receives_while_vault_is_away_at_its_start_and_goes_on_when_it_comes(
    start_daemon: Start, vault: VaultServer, environ: dict[str, str], webhook: ScriptedWebhook
) -> None:
    vault.stop()
    alpha = start_daemon(**environ)
    alpha.send_udp(b"<13>1 - sw1 app - - - before Vault")
    assert "secrets" in eventually(lambda: unready(alpha))
    refused = post(alpha, "/ingest", "ingest-s3cret", {"message": "early", "hostname": "h"})
    assert (refused.status_code, "Vault" in refused.text) == (503, True)
    assert int(refused.headers["Retry-After"]) > 0
    assert not list(alpha.state_dir.glob("*.key"))
    vault.start()
    eventually(lambda: not unready(alpha))
    eventually(lambda: stored(alpha), lambda texts: texts == ["before Vault"])
    assert post(alpha, "/api/v2/rules", "admin-s3cret", a_rule()).status_code == 201
    eventually(lambda: get(alpha, "/api/v2/status")["rules"]["active"])
    # Vault is not needed for what is held.
    vault.stop()
    assert ingest(alpha, "LINK-3-UPDOWN") == 200
    [call] = eventually(lambda: webhook.accepted)
    assert call.headers["Authorization"] == "Bearer moog-s3cret"
    alpha.process.send_signal(signal.SIGHUP)
    warnings = eventually(lambda: get(alpha, "/api/v2/status")["warnings"])
    assert any(each.startswith("secrets: Vault") for each in warnings)
    assert not unready(alpha)
    shown = "\n".join(alpha.log)
    assert "MUTTD_REDIS_PASSWORD" in shown
    assert not [secret for secret in SECRETS.values() if secret in shown]


def test_keys_of_the_api_and_the_webhook_overlap_while_they_change(
    start_daemon: Start, vault: VaultServer, environ: dict[str, str], webhook: ScriptedWebhook
) -> None:
    webhook.answer = lambda call: (
        (200, {}, "")
        if call.headers["Authorization"] == "Bearer moog-n3w"
        else (401, {}, "unknown key")
    )
    alpha = start_daemon(**environ, VAULT_REREAD_S="1")
    eventually(lambda: not unready(alpha))
    post(alpha, "/api/v2/rules", "admin-s3cret", a_rule())
    eventually(lambda: get(alpha, "/api/v2/status")["rules"]["active"])
    assert ingest(alpha, "LINK-3-UPDOWN") == 200
    eventually(lambda: get(alpha, "/api/v2/status")["forwarder"]["state"], "held".__eq__)
    assert ingest(alpha, "too early", key="ingest-n3w") == 401
    both = {**SECRETS, "MUTTD_INGEST_API_KEY_NEXT": "ingest-n3w"}
    vault.put({**both, "MUTTD_MOOG_API_KEY_NEXT": "moog-n3w"})
    # Nobody said anything to the daemon: it looks every second.
    eventually(lambda: webhook.accepted)
    eventually(lambda: ingest(alpha, "by the new one", key="ingest-n3w"), (200).__eq__)
    assert ingest(alpha, "by the old one") == 200
    vault.put({**SECRETS, "MUTTD_INGEST_API_KEY": "ingest-n3w"})
    eventually(lambda: ingest(alpha, "by the old one"), (401).__eq__)
    assert ingest(alpha, "by the new one", key="ingest-n3w") == 200


def test_a_value_of_no_use_is_named_and_changes_nothing(
    start_daemon: Start, vault: VaultServer, environ: dict[str, str]
) -> None:
    vault.put({**SECRETS, "MUTTD_INGEST_API_KEY": "two w0rds"})
    alpha = start_daemon(**environ, VAULT_REREAD_S="1")
    eventually(lambda: any("MUTTD_INGEST_API_KEY in Vault: must be" in line for line in alpha.log))
    assert "secrets" in unready(alpha)
    assert ingest(alpha, "early") == 503
    vault.put(SECRETS)
    eventually(lambda: not unready(alpha))
    assert ingest(alpha, "in time") == 200
    assert not any("w0rds" in line for line in alpha.log)


def test_a_command_finds_its_key_in_vault_and_leaves_no_token_there(
    start_daemon: Start, vault: VaultServer, environ: dict[str, str], tmp_path: Path
) -> None:
    alpha = start_daemon(**environ)
    eventually(lambda: not unready(alpha))
    own = len(vault.tokens)
    command = [sys.executable, "-m", "muttd", "rules", "list", "--url", alpha.url]
    listed = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert len(vault.tokens) == own
    vault.may_read = False
    refused = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (refused.returncode, "Vault does not let us read" in refused.stderr) == (77, True)
    assert len(vault.tokens) == own


def test_a_secret_id_that_others_can_read_is_refused_with_the_command_that_mends_it(
    vault: VaultServer, environ: dict[str, str], tmp_path: Path
) -> None:
    path = Path(environ["VAULT_SECRET_ID_FILE"])
    path.chmod(0o644)
    for command in ("check-config", "run"):
        refused = subprocess.run(
            [sys.executable, "-m", "muttd", command],
            env={**environ, "MUTTD_STATE_DIR": str(tmp_path / "state")},
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 78
        assert f"run: chmod 600 {path}" in refused.stderr
    assert vault.seen == []
