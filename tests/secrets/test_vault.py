"""muttd/secrets/vault.py, vault_client.py: real hvac, against a Vault as its API describes it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from interruption import wait_until
from prometheus_client import CollectorRegistry
from servers.vault_server import VaultServer
from vault_admin import deliver

from muttd.errors import SecretsRefused, StoreUnavailable
from muttd.secrets.vault import Vault, VaultMetrics
from muttd.secrets.vault_client import VaultClient
from muttd.secrets.vault_options import VaultOptions

REDIS, NEXT, DATABASE = "MUTTD_REDIS_PASSWORD", "MUTTD_REDIS_PASSWORD_NEXT", "MUTTD_DATABASE_KEY"
NAMES = frozenset({REDIS, NEXT, DATABASE})
LOGIN = ("POST", "/v1/auth/approle/login")
RENEW = ("POST", "/v1/auth/token/renew-self")
READ = ("GET", "/v1/secret/data/mutt")


class Scene:
    """A Vault that is kept fresh, and what the daemon was told of it."""

    def __init__(self, options: VaultOptions) -> None:
        self.registry = CollectorRegistry()
        self.vault = Vault(options, NAMES, VaultMetrics(self.registry))
        self.vault.changed = self._changed
        self.told: list[dict[str, str]] = []

    async def _changed(self) -> None:
        self.told.append(dict(self.vault.held))

    async def wait(self, is_so: Callable[[], object]) -> None:
        async def look() -> object:
            return is_so()

        await wait_until(look)

    def outcomes(self, operation: str) -> dict[str, float]:
        found = {}
        for outcome in ("ok", "refused", "unavailable"):
            labels = {"operation": operation, "outcome": outcome}
            value = self.registry.get_sample_value("muttd_vault_requests_total", labels)
            assert value is not None
            found[outcome] = value
        return found

    def value(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


@contextlib.asynccontextmanager
async def kept_fresh(options: VaultOptions) -> AsyncIterator[Scene]:
    scene = Scene(options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.vault.run)
        yield scene
        nursery.cancel_scope.cancel()


async def test_secrets_are_read_by_their_names_and_strangers_are_named_only(
    server: VaultServer, options: VaultOptions, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(
        {"redis_password": "one", "MUTTD_DATABASE_KEY": "two", "other": "thr33", REDIS[:5]: 7}
    )
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        assert scene.told == [{REDIS: "one", DATABASE: "two"}]
        await scene.vault.ping()
    assert "'other' in Vault is no secret of ours" in caplog.text
    assert "thr33" not in caplog.text


async def test_a_new_version_is_told_once_and_an_old_one_never_again(
    server: VaultServer, options: VaultOptions
) -> None:
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        scene.vault.poke()
        await scene.wait(lambda: server.count(*READ) == 2)
        server.put({REDIS: "redis-s3cret", NEXT: "next"})
        scene.vault.poke()
        await scene.wait(lambda: len(scene.told) == 2)
    assert scene.told[1] == {REDIS: "redis-s3cret", NEXT: "next"}
    assert scene.value("muttd_vault_changes_total") == 2
    assert server.count(*LOGIN) == 1


async def test_secrets_are_read_again_from_time_to_time(
    server: VaultServer, options: VaultOptions
) -> None:
    async with kept_fresh(replace(options, reread_s=0.05)) as scene:
        await scene.wait(lambda: server.count(*READ) > 3)
        server.put({REDIS: "another"})
        await scene.wait(lambda: scene.vault.held == {REDIS: "another"})


async def test_a_token_is_renewed_before_it_ends_and_replaced_at_its_maximum(
    server: VaultServer, options: VaultOptions
) -> None:
    server.ttl_s, server.max_ttl_s = 3.0, 4.0
    async with kept_fresh(replace(options, reread_s=0.2)) as scene:
        await scene.wait(lambda: server.count(*RENEW))
        assert server.count(*LOGIN) == 1
        await scene.wait(lambda: scene.outcomes("login")["ok"] == 2)
        # Never without a token in force: nothing was ever refused.
        assert scene.outcomes("read")["refused"] == 0


async def test_a_token_that_cannot_be_renewed_is_replaced_before_it_ends(
    server: VaultServer, options: VaultOptions
) -> None:
    server.ttl_s, server.tokens_renew = 1.0, False
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: server.count(*LOGIN) == 2)
        assert server.count(*RENEW) == 0


async def test_who_stops_leaves_no_token_behind_and_waits_for_nobody(
    server: VaultServer, options: VaultOptions
) -> None:
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        assert len(server.tokens) == 1
    assert server.tokens == []
    with trio.fail_after(10):
        async with kept_fresh(options) as scene:
            await scene.wait(lambda: scene.told)
            server.answers.clear()
    server.answers.set()


async def test_a_token_that_was_revoked_is_replaced_at_the_next_read(
    server: VaultServer, options: VaultOptions
) -> None:
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        server.revoke_tokens()
        server.put({REDIS: "another"})
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.held == {REDIS: "another"})
        assert scene.vault.error is None


def break_path(server: VaultServer) -> None:
    server.secrets_path = "elsewhere"


def mend_path(server: VaultServer) -> None:
    server.secrets_path = "mutt"


Fault = tuple[Callable[[VaultServer], object], Callable[[VaultServer], object], str]
FAULTS: dict[str, Fault] = {
    "away": (VaultServer.stop, VaultServer.start, "Vault: no answer (ConnectionError)"),
    "sealed": (
        lambda server: setattr(server, "is_sealed", True),
        lambda server: setattr(server, "is_sealed", False),
        "Vault is sealed",
    ),
    "rate limit": (
        lambda server: setattr(server, "is_limited", True),
        lambda server: setattr(server, "is_limited", False),
        "rate limit quota exceeded",
    ),
    "policy": (
        lambda server: setattr(server, "may_read", False),
        lambda server: setattr(server, "may_read", True),
        "Vault does not let us read secret/mutt",
    ),
    "no such path": (break_path, mend_path, "Vault does not let us read secret/mutt"),
    "namespace": (
        lambda server: setattr(server, "namespace", "teams/noc"),
        lambda server: setattr(server, "namespace", ""),
        "Vault does not let us log in",
    ),
    "hangs": (
        lambda server: server.answers.clear(),
        lambda server: server.answers.set(),
        "Vault: no answer",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_vault_that_gives_nothing_at_the_start_is_asked_until_it_does(
    server: VaultServer, options: VaultOptions, fault: str
) -> None:
    break_it, mend_it, said = FAULTS[fault]
    break_it(server)
    async with kept_fresh(replace(options, timeout_s=0.5)) as scene:
        await scene.wait(lambda: scene.vault.error)
        assert said in str(scene.vault.error)
        with pytest.raises(StoreUnavailable, match="Vault"):
            await scene.vault.ping()
        assert (scene.told, scene.value("muttd_vault_up")) == ([], 0)
        mend_it(server)
        scene.vault.poke()
        await scene.wait(lambda: scene.told)
        await scene.vault.ping()
        await scene.wait(lambda: scene.value("muttd_vault_up") == 1)


@pytest.mark.parametrize("fault", ["away", "sealed", "policy", "hangs"])
async def test_a_vault_that_gives_nothing_later_takes_nothing_away(
    server: VaultServer, options: VaultOptions, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    break_it, mend_it, said = FAULTS[fault]
    async with kept_fresh(replace(options, timeout_s=0.5)) as scene:
        await scene.wait(lambda: scene.told)
        break_it(server)
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.error)
        assert said in str(scene.vault.error)
        assert scene.vault.held == {REDIS: "redis-s3cret"}
        await scene.vault.ping()
        failed = scene.outcomes("read")
        assert failed["refused"] + failed["unavailable"] > 0
        mend_it(server)
        server.put({REDIS: "another"})
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.held == {REDIS: "another"})
    assert "what is held goes on to count" in caplog.text
    assert "redis-s3cret" not in caplog.text


async def test_secrets_that_whoever_uses_them_refuses_change_nothing(
    server: VaultServer, options: VaultOptions
) -> None:
    async def refuse() -> None:
        await trio.lowlevel.checkpoint()
        raise SecretsRefused("no use")

    scene = Scene(options)
    accept, scene.vault.changed = scene.vault.changed, refuse
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.vault.run)
        await scene.wait(lambda: scene.vault.error)
        assert (scene.vault.is_known, scene.vault.held, scene.vault.error) == (False, {}, "no use")
        scene.vault.changed = accept
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.held == {REDIS: "redis-s3cret"})
        scene.vault.changed = refuse
        server.put({REDIS: "another"})
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.error == "no use")
        assert scene.vault.held == {REDIS: "redis-s3cret"}
        nursery.cancel_scope.cancel()


async def test_a_deleted_version_takes_nothing_away(
    server: VaultServer, options: VaultOptions
) -> None:
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        server.delete()
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.error)
        assert scene.vault.held == {REDIS: "redis-s3cret"}


async def test_a_wrapped_secret_id_is_opened_once_and_used_for_every_login(
    server: VaultServer, options: VaultOptions, secret_id: Path
) -> None:
    deliver(secret_id, server.wrap(server.add_secret_id()))
    async with kept_fresh(replace(options, is_wrapped=True)) as scene:
        await scene.wait(lambda: scene.told)
        server.revoke_tokens()
        scene.vault.poke()
        await scene.wait(lambda: server.count(*LOGIN) == 2)
        # Somebody delivers another one.
        deliver(secret_id, server.wrap(server.add_secret_id()))
        server.revoke_tokens()
        scene.vault.poke()
        await scene.wait(lambda: server.count(*LOGIN) == 3)
        await scene.wait(lambda: scene.outcomes("unwrap")["ok"] == 2)


async def test_a_wrapped_secret_id_that_somebody_opened_before_us_is_said(
    server: VaultServer, options: VaultOptions, secret_id: Path
) -> None:
    wrapping = server.wrap(server.add_secret_id())
    deliver(secret_id, wrapping)
    assert VaultClient(options).unwrap(wrapping).startswith("sid-")
    async with kept_fresh(replace(options, is_wrapped=True)) as scene:
        await scene.wait(lambda: scene.vault.error)
        assert "wrapping token is not valid or does not exist" in str(scene.vault.error)
        assert wrapping not in str(scene.vault.error)


async def test_a_secret_id_that_is_used_up_or_removed_is_no_matter_until_the_next_login(
    server: VaultServer, options: VaultOptions, secret_id: Path
) -> None:
    deliver(secret_id, server.add_secret_id(uses=2))
    async with kept_fresh(options) as scene:
        await scene.wait(lambda: scene.told)
        deliver(secret_id, None)
        server.revoke_tokens()
        scene.vault.poke()
        await scene.wait(lambda: server.count(*LOGIN) == 2)
        server.revoke_tokens()
        scene.vault.poke()
        await scene.wait(lambda: "invalid role or secret ID" in str(scene.vault.error))
        deliver(secret_id, server.add_secret_id(uses=1))
        scene.vault.poke()
        await scene.wait(lambda: scene.vault.error is None)
