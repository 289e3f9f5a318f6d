"""The daemon: the nursery tree, its start and its end.

    stores  >  watch  >  workers  >  intake  >  one per TCP connection
    opened left to right, closed right to left; a task uses only what lies to its left

SIGTERM cancels intake, lets the workers drain, then closes watch, so that the drain can be watched.
Tasks are never restarted: an error nobody foresaw ends the process with exit code 70, and systemd
starts it again; nothing accepted is lost by that.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial

import trio

from muttd import __version__, heap
from muttd.errors import ConfigError, SecretsRefused, StoreRefused, StoreUnavailable
from muttd.listeners.inherited import inherited_sockets
from muttd.notify import notify
from muttd.queue.contract import Stream
from muttd.secrets.vault import Vault
from muttd.secrets.vault_options import VaultOptions
from muttd.settings import Settings, load
from muttd.state_dir import KeyFile, open_state_dir
from muttd.web.auth import KeyRing
from muttd.wiring import (
    Bound,
    Parts,
    bind_all,
    gauges,
    open_parts,
    status_parts,
)
from muttd.wiring_intake import Intakes, start_intake
from muttd.wiring_reload import Reloadable, read_files
from muttd.wiring_secrets import key_files, open_vault, vault_options
from muttd.wiring_web import WebListener, api_keys, start_web
from muttd.workers.depth_watch import watch_depth
from muttd.workers.probe import Probe
from muttd.workers.retention import run_retention
from muttd.workers.status import Parts as StatusParts
from muttd.workers.status import describe, status
from muttd.workers.watchdog import Watchdog, watchdog_s

EX_OK = 0
EX_SOFTWARE = 70

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
# How often a drain looks whether it is done.
_DRAIN_CHECK_S = 0.05

_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        0 after a clean stop, 70 after an error nobody foresaw: a bug.

    Raises:
        ConfigError: The daemon cannot start; exit 78. Every mistake at once.
    """
    try:
        open_state_dir(settings.state_dir)
        options = vault_options(settings, os.environ)
        trio.run(_Daemon(settings, options, Reloadable.open(settings)).run)
    except BaseExceptionGroup as group:
        refused, others = group.split((ConfigError, StoreRefused))
        if others is not None:
            _log.critical("an error that nobody foresaw ends the daemon", exc_info=others)
            return EX_SOFTWARE
        assert refused is not None
        # Several may have met the same.
        raise ConfigError(list(dict.fromkeys(map(str, _leaves(refused))))) from None
    except StoreRefused as exc:
        raise ConfigError([str(exc)]) from exc
    return EX_OK


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


class _Daemon:
    """One run of the daemon."""

    def __init__(
        self, settings: Settings, vault: VaultOptions | None, reloadable: Reloadable
    ) -> None:
        self._settings = settings
        self._vault_options = vault
        self._vault: Vault | None = None
        self._reloadable = reloadable
        # With Vault the keys may be there: until it has answered, none is known and none is made.
        self._key_files = [] if vault else key_files(settings)
        self._keys = KeyRing(None if vault else api_keys(settings, self._key_files))
        self._moog_keys = settings.moog.api_keys
        self._is_draining = False

    async def run(self) -> None:
        """The nursery tree."""
        with trio.open_signal_receiver(*_SIGNALS) as signals:
            bound = bind_all(self._settings, inherited_sockets(os.environ, os.getpid()))
            destinations = self._reloadable.destinations
            async with open_parts(self._settings, destinations, self._reveal_moog_keys) as parts:
                scene = status_parts(
                    self._settings,
                    parts,
                    bound,
                    tls_links=self._reloadable.tls_links,
                    is_draining=lambda: self._is_draining,
                )
                async with trio.open_nursery() as watch:
                    self._start_vault(watch, parts)
                    listener = WebListener(bound.of("http"), self._reloadable.tls.get("http"))
                    start_web(watch, self._settings, parts, scene, self._keys, listener)
                    watch.start_soon(parts.rates.run)
                    watch.start_soon(parts.volume.run, parts.backends.store)
                    watch.start_soon(self._watchdog(parts).run)
                    watch.start_soon(gauges(self._settings, parts).run)
                    parts.backends.start(watch)
                    for probe in parts.probes.values():
                        watch.start_soon(probe.run)
                    watch.start_soon(parts.peers.run, partial(describe, scene))
                    await self._run_workers(parts, bound, scene, signals)
                    watch.cancel_scope.cancel()
                # The counters end with the process; these lines are what remains of them.
                for line in parts.accounts.summary():
                    _log.info("%s", line)
        _log.info("stopped")

    def _start_vault(self, nursery: trio.Nursery, parts: Parts) -> None:
        self._vault = open_vault(self._vault_options, parts.registry)
        if self._vault is not None:
            self._vault.changed = partial(self._take_from_vault, parts)
            parts.probes["secrets"] = Probe(self._vault.ping, self._vault.note)
            nursery.start_soon(self._vault.run)

    def _watchdog(self, parts: Parts) -> Watchdog:
        def line() -> str:
            if self._is_draining:
                return "draining"
            rate, lag_s = parts.rates.received_per_s(60), parts.alerter.lag_s
            return f"{rate:.0f} events/s over the last minute, decided within {lag_s:.1f} s"

        pulses = (parts.intake.pulse, parts.alerter.pulse)
        return Watchdog(pulses, watchdog_s(os.environ, os.getpid()), notify, line)

    async def _run_workers(
        self, parts: Parts, bound: Bound, scene: StatusParts, signals: AsyncIterator[int]
    ) -> None:
        async with trio.open_nursery() as workers:
            workers.start_soon(parts.intake.run)
            workers.start_soon(parts.rules.run)
            workers.start_soon(parts.mibs.run)
            workers.start_soon(parts.alerter.run)
            workers.start_soon(parts.meta_alerts.run)
            workers.start_soon(parts.outbound.dispatch.run)
            workers.start_soon(parts.outbound.upkeep.run)
            workers.start_soon(parts.dynamic_watch.run)
            workers.start_soon(watch_depth, parts.backends.queue, parts.dynamic)
            archive_dir = self._settings.retention.archive_dir
            store, dynamic, watch = parts.backends.store, parts.dynamic, parts.dynamic_watch
            workers.start_soon(run_retention, store, dynamic, watch, archive_dir)
            async with trio.open_nursery() as intake:
                listeners = start_intake(intake, self._settings, parts, bound, self._reloadable)
                self._announce(bound)
                await self._wait_stop(parts, scene, signals)
                self._is_draining = True
                notify("STOPPING=1", "STATUS=draining")
                intake.cancel_scope.cancel()
            with trio.move_on_after(self._settings.drain_s) as drain:
                workers.start_soon(self._wait_impatience, signals, drain)
                await self._drain(parts, listeners)
            listeners.close()
            workers.cancel_scope.cancel()

    async def _wait_stop(
        self, parts: Parts, scene: StatusParts, signals: AsyncIterator[int]
    ) -> None:
        async for number in signals:
            if number == signal.SIGHUP:
                await self._reload(parts)
            elif number == signal.SIGUSR1:
                _log.info("statistics: %s", json.dumps(await status(scene)))
            else:
                _log.info("%s: draining", signal.Signals(number).name)
                return

    async def _wait_impatience(self, signals: AsyncIterator[int], drain: trio.CancelScope) -> None:
        """A second SIGTERM or SIGINT ends the drain: what is queued is safe on the disk."""
        async for number in signals:
            if number in (signal.SIGTERM, signal.SIGINT):
                _log.warning("%s again: not waiting any longer", signal.Signals(number).name)
                drain.cancel()
                return

    async def _reload(self, parts: Parts) -> None:
        """SIGHUP: read files, secrets and rules again. A mistake leaves all in force as it is."""
        if self._vault is not None:
            self._vault.poke()
        try:
            settings = self._load()
            in_force = dict(self._reloadable.expiries)
            files = await trio.to_thread.run_sync(read_files, settings, in_force)
            self._use_secrets(parts, settings)
        except ConfigError as exc:
            _log.error("reload: nothing changed: %s", exc)
            return
        self._reloadable.replace(files)
        parts.rules.poke()
        parts.dynamic_watch.poke()
        parts.outbound.use(settings, files.destinations)
        _log.info("reload: rules, MIBs, secrets, users, certificates, sources, destinations read")

    def _load(self) -> Settings:
        return load(os.environ, vault=None if self._vault is None else self._vault.held)

    async def _take_from_vault(self, parts: Parts) -> None:
        """Vault holds something else. Files are left alone: what is wrong with one is no matter."""
        await trio.lowlevel.checkpoint()
        try:
            self._use_secrets(parts, self._load())
        except ConfigError as exc:
            raise SecretsRefused(f"what Vault holds is of no use: {exc}") from exc

    def _use_secrets(self, parts: Parts, settings: Settings) -> None:
        if self._vault is None or self._vault.is_known:
            self._key_files = key_files(settings)
            self._keys.replace(api_keys(settings, self._key_files))
        self._moog_keys = settings.moog.api_keys
        self._reloadable.use_secrets(settings)
        parts.backends.use_passwords(settings)
        parts.outbound.dispatch.poke()

    def _reveal_moog_keys(self) -> list[str]:
        return [key.reveal() for key in self._moog_keys]

    async def _drain(self, parts: Parts, listeners: Intakes) -> None:
        """Let the workers finish what came in, as long as they get on with it."""
        parts.alerter.leave_when_held_up()
        parts.outbound.dispatch.leave_when_held_up()
        await listeners.drain()
        await parts.intake.wait_empty()
        while await self._is_busy(parts):  # noqa: ASYNC110 -- a backend's depth has no trio.Event
            await trio.sleep(_DRAIN_CHECK_S)
        parts.alerter.stop()
        await parts.outbound.dispatch.stop()
        # Without rules it has not begun.
        if parts.rules.is_loaded:
            await parts.alerter.wait_stopped()

    async def _is_busy(self, parts: Parts) -> bool:
        """Whether waiting longer is of use: events to decide, alerts that the webhook takes."""
        spool = parts.backends.spool_state()
        if spool is not None and spool.items:
            # While the queue is away they are safe on the disk, and wait for the next start.
            return spool.error is None
        if parts.peers.has_company or parts.alerter.is_held_up or not parts.rules.is_loaded:
            # The others go on with what the queue holds, and it may never be empty; or nobody can.
            return False
        try:
            if (await parts.backends.queue.depth(Stream.INGEST)).items:
                return True
            return await parts.outbound.dispatch.is_busy()
        except StoreUnavailable:
            return False

    def _announce(self, bound: Bound) -> None:
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        heap.give_back()
        for listener, address in bound.addresses:
            _log.info("%s: listening on %s", listener, address)
        for key in self._key_files:
            if key.is_new:
                _log.info("made the API key %s", key.path)
        _log.info("muttd %s is ready", __version__)
        notify("READY=1")
        if sys.stderr.isatty():
            sys.stderr.write(_greeting(bound, self._key_files, is_https=self._settings.is_https))


def _greeting(bound: Bound, key_files: list[KeyFile], *, is_https: bool) -> str:
    """For a person at a terminal: where the page is and where the key lies; never the key."""
    scheme = "https" if is_https else "http"
    lines = [""]
    for listener, address in bound.addresses:
        if listener == "http":
            host, _, port = address.rpartition(":")
            shown = "localhost" if host in ("[::]", "0.0.0.0") else host
            lines.append(f"  Dashboard:  {scheme}://{shown}:{port}/")
    lines += [
        f"  Sign in with the key in {key.path}{' (new)' if key.is_new else ''}"
        for key in key_files
        if key.path.stem == "admin"
    ]
    return "\n".join([*lines, "", ""])
