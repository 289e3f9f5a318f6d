"""Secrets from Vault, kept fresh: log in, read, renew, read again.

    login --token--> read --changed?--> tell the daemon
      ^                |  every reread_s, and when poked
      `-- renew, from two thirds of the TTL on; log in anew when it gives no more time

Vault away at the start: it is asked again and again, and nobody waits for it but who needs a
secret. Away later: what is held goes on to count. Once read, a secret is never forgotten, only
replaced; what Vault holds beyond names of settings is not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import TypeVar

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge

from muttd.backoff import backoff_s
from muttd.errors import (
    ConfigError,
    SecretsError,
    SecretsRefused,
    SecretsUnavailable,
    StoreUnavailable,
)
from muttd.secrets.vault_client import Token, VaultClient
from muttd.secrets.vault_options import VaultOptions

T = TypeVar("T")

_PREFIX = "MUTTD_"
# A token is renewed when so much of its TTL has gone: what is left is for an outage.
_RENEW_PART = 2 / 3
# A renewal that gives less than this part of the first TTL met the maximum: log in anew.
_WORN_PART = 1 / 2
_RETRY_BASE_S = 0.5
_RETRY_CAP_S = 30.0
# An abandoned request ends by its own timeout; meanwhile the next one needs a thread.
_THREADS = 4
# To revoke the token is a courtesy: no stop waits longer for it.
_LEAVE_S = 1.0
_KEPT = "what is held goes on to count"

_log = logging.getLogger(__name__)


def settings_of(
    found: Mapping[str, object], names: Collection[str]
) -> tuple[dict[str, str], set[str]]:
    """What of a secret is a setting of ours, by the setting's name; and the keys that are not."""
    held, strangers = {}, set()
    for key, value in found.items():
        name = key.upper() if key.upper().startswith(_PREFIX) else _PREFIX + key.upper()
        if name in names and isinstance(value, str):
            held[name] = value
        else:
            strangers.add(key)
    return held, strangers


class VaultMetrics:
    """asked = ok + refused + unavailable, for each operation. At zero where there is no Vault."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "muttd_vault_requests_total",
            "Requests to Vault, by what became of them.",
            ["operation", "outcome"],
            registry=registry,
        )
        for operation in ("unwrap", "login", "renew", "read"):
            for outcome in ("ok", "refused", "unavailable"):
                self.requests.labels(operation, outcome)
        self.up = Gauge(
            "muttd_vault_up", "Whether Vault's last answer was a good one.", registry=registry
        )
        self.changes = Counter(
            "muttd_vault_changes_total",
            "Times that other secrets were read than before.",
            registry=registry,
        )


class Vault:
    """What Vault holds for us.

    Args:
        options: Where it is and who we are.
        names: Of the settings that may come from it.
        metrics: What it counts.

    Attributes:
        held: By name of the setting, what was read last.
        error: Why Vault was of no use the last time; None when it was.
        changed: Called when `held` is another one; set by whoever uses it, who may refuse it by a
            SecretsRefused: then the one before goes on to count.
    """

    def __init__(
        self, options: VaultOptions, names: Collection[str], metrics: VaultMetrics
    ) -> None:
        self._options = options
        self._names = names
        self._metrics = metrics
        self._client = VaultClient(options)
        self._limiter = trio.CapacityLimiter(_THREADS)
        self._token: Token | None = None
        self._first_ttl_s = 0.0
        self._renew_at = self._ends_at = self._read_at = -1.0
        # (what the file held, the secret id it stood for): a wrapping token opens once.
        self._unwrapped = ("", "")
        self._secret_id = ""
        self._strangers: set[str] = set()
        self._poked = trio.Event()
        self.is_known = False
        self.held: Mapping[str, str] = {}
        self.error: str | None = None
        self.changed: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint

    async def run(self) -> None:
        """Keep the secrets fresh until cancelled; then the token is revoked, if that is quick."""
        try:
            await self._keep_fresh()
        finally:
            if (token := self._token) is not None:
                # Not waited for: whoever is cancelled here wants to leave.
                leaving = trio.CancelScope(deadline=trio.current_time() + _LEAVE_S, shield=True)
                with leaving, suppress(SecretsError):
                    await trio.to_thread.run_sync(
                        self._client.revoke, token.text, abandon_on_cancel=True
                    )

    async def _keep_fresh(self) -> None:
        failures = 0
        while True:
            self._poked = trio.Event()
            try:
                await self._round()
            except SecretsError as exc:
                failures += 1
                self._note(exc, failures)
                self._read_at = -1.0
                wait_s = backoff_s(failures, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S)
            else:
                if failures:
                    _log.warning("secrets: Vault answers again, after %d failures", failures)
                failures, self.error = 0, None
                self._metrics.up.set(1)
                wait_s = min(self._read_at, self._renew_at) - trio.current_time()
            with trio.move_on_after(max(0.0, wait_s)):
                await self._poked.wait()

    def poke(self) -> None:
        """Read again now."""
        self._read_at = -1.0
        self._poked.set()

    async def ping(self) -> None:
        """Return when the secrets are known; whether Vault answers now is no matter.

        Raises:
            StoreUnavailable: They were never read.
        """
        await trio.lowlevel.checkpoint()
        if not self.is_known:
            raise StoreUnavailable(self.error or "Vault: not asked yet")

    def note(self) -> str | None:
        """What should be looked at although the secrets are known; None: nothing."""
        return None if self.error is None else f"{self.error}; {_KEPT}"

    def _note(self, exc: SecretsError, failures: int) -> None:
        self._metrics.up.set(0)
        if failures == 1 or str(exc) != self.error:
            kept = _KEPT if self.is_known else "no secret is held yet"
            _log.error("secrets: %s; %s", exc, kept)
        self.error = str(exc)

    async def _round(self) -> None:
        now = trio.current_time()
        if self._token is None or now >= self._ends_at:
            await self._log_in()
        elif now >= self._renew_at:
            await self._renew(self._token)
        if trio.current_time() >= self._read_at:
            await self._read()

    async def _log_in(self) -> None:
        self._token = None
        secret_id = await self._find_secret_id()
        token = await self._ask("login", lambda: self._client.login(secret_id))
        self._first_ttl_s = token.ttl_s
        self._keep(token)

    async def _renew(self, token: Token) -> None:
        if token.is_renewable:
            try:
                renewed = await self._ask("renew", lambda: self._client.renew(token.text))
            except SecretsRefused as exc:
                _log.info("secrets: logging in anew: %s", exc)
            else:
                if renewed.ttl_s >= self._first_ttl_s * _WORN_PART:
                    self._keep(renewed)
                    return
        await self._log_in()

    def _keep(self, token: Token) -> None:
        self._token = token
        now = trio.current_time()
        # 0: it does not end.
        ttl_s = token.ttl_s or float("inf")
        self._ends_at, self._renew_at = now + ttl_s, now + ttl_s * _RENEW_PART

    async def _read(self) -> None:
        assert self._token is not None
        text = self._token.text
        # Before the question: a poke meanwhile asks once more.
        self._read_at = trio.current_time() + self._options.reread_s
        try:
            found = await self._ask("read", lambda: self._client.read(text))
        except SecretsRefused:
            # Its token may have been revoked, or ended while this machine slept.
            await self._log_in()
            fresh = self._token.text
            found = await self._ask("read", lambda: self._client.read(fresh))
        held, strangers = settings_of(found, self._names)
        for key in sorted(strangers - self._strangers):
            _log.warning("secrets: %.64r in Vault is no secret of ours, or no text", key)
        self._strangers |= strangers
        if self.is_known and held == self.held:
            return
        before = (self.is_known, self.held)
        self.is_known, self.held = True, held
        try:
            await self.changed()
        except SecretsError:
            self.is_known, self.held = before
            raise
        self._metrics.changes.inc()
        _log.info("secrets: read from Vault: %s", ", ".join(sorted(held)) or "none")

    async def _find_secret_id(self) -> str:
        try:
            text = await trio.to_thread.run_sync(self._options.secret_id.read)
        except ConfigError as exc:
            # Some remove it once it was read.
            if self._secret_id:
                return self._secret_id
            raise SecretsRefused(str(exc)) from exc
        if self._options.is_wrapped:
            if text != self._unwrapped[0]:
                opened = await self._ask("unwrap", lambda: self._client.unwrap(text))
                self._unwrapped = (text, opened)
            text = self._unwrapped[1]
        self._secret_id = text
        return text

    async def _ask(self, operation: str, request: Callable[[], T]) -> T:
        outcome = "unavailable"
        try:
            with trio.fail_after(self._options.timeout_s):
                answer = await trio.to_thread.run_sync(
                    request, limiter=self._limiter, abandon_on_cancel=True
                )
            outcome = "ok"
        except trio.TooSlowError as exc:
            said = f"Vault: no answer within {self._options.timeout_s:g} s"
            raise SecretsUnavailable(said) from exc
        except SecretsRefused:
            outcome = "refused"
            raise
        finally:
            self._metrics.requests.labels(operation, outcome).inc()
        return answer
