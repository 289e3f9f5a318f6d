"""What SIGHUP reads again: SNMPv3 users, certificates, the files of sources and destinations.

    settings --read_files--> Files --replace--> Reloadable, all of it or nothing

`muttd check-config` reads the same files, so that what it calls right is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from muttd.clear_links import refuse_clear_links
from muttd.errors import ConfigError
from muttd.listeners.snmp_trap import Communities
from muttd.listeners.tls import ServerTls
from muttd.protocol.usm import Usm
from muttd.protocol.usm_users import UsmUser
from muttd.settings import Settings
from muttd.snmp_users import read_users
from muttd.sources import Sources, SourceTable, read_sources
from muttd.wiring_destinations import Destinations, load_destinations
from muttd.wiring_snmp import open_usm
from muttd.wiring_tls import Certificates, load_tls, open_tls
from muttd.workers.status import TlsLink

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """What the files said.

    Attributes:
        users: Of SNMPv3.
        tls: Certificates of every link.
        sources: Who may send, and how.
        destinations: Where alerts go.
    """

    users: list[UsmUser]
    tls: Certificates
    sources: SourceTable
    destinations: Destinations

    @property
    def warnings(self) -> list[str]:
        """What should be looked at, one line each."""
        return self.tls.warnings

    def log_warnings(self) -> None:
        """Log them."""
        for line in self.warnings:
            _log.warning("%s", line)


def read_files(settings: Settings, in_force: Mapping[str, datetime] | None = None) -> Files:
    """Read every file that settings name and that can be read again, and refuse clear links.

    Args:
        settings: Which files.
        in_force: When the certificates in use expire, by link; None at a start.

    Raises:
        ConfigError: Every mistake in all of them.

    Cost: some 2 ms for every passphrase of a user; off the loop, please.
    """
    mistakes: list[str] = []

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigError as exc:
            mistakes.extend(exc.mistakes)
            return None

    users = checked(lambda: read_users(settings.snmp.users_file))
    tls = checked(lambda: load_tls(settings, in_force))
    sources = checked(lambda: read_sources(settings.sources_file))
    destinations = checked(lambda: load_destinations(settings))
    configs = () if destinations is None else destinations.configs.values()
    checked(lambda: refuse_clear_links(settings, users or (), configs))
    if mistakes or users is None or tls is None or sources is None or destinations is None:
        raise ConfigError(mistakes)
    return Files(users, tls, sources, destinations)


@dataclass(frozen=True, slots=True)
class Reloadable:
    """What works by those files.

    Attributes:
        usm: Opens SNMPv3.
        tls: By listener that speaks it.
        expiries: When the certificate of each link expires.
        sources: Who may send, and how.
        communities: Of SNMPv1 and v2c; they are secrets, not a file.
        destinations: Where alerts go at the start; the dispatch is told of others.
    """

    usm: Usm
    tls: dict[str, ServerTls]
    expiries: dict[str, datetime]
    sources: Sources
    communities: Communities
    destinations: Destinations

    @classmethod
    def open(cls, settings: Settings) -> Reloadable:
        """Make it, at a start.

        Raises:
            ConfigError: Every mistake in the files.
        """
        files = read_files(settings)
        files.log_warnings()
        return cls(
            usm=open_usm(settings, files.users),
            tls=open_tls(settings, files.tls.listeners),
            expiries=dict(files.tls.expiries),
            sources=Sources(files.sources),
            communities=Communities(_communities(settings)),
            destinations=files.destinations,
        )

    def use_secrets(self, settings: Settings) -> None:
        """Put in force what of the settings' secrets is in use here."""
        self.communities.replace(_communities(settings))

    def replace(self, files: Files) -> None:
        """Put other files in force. What is open stays open; nothing is lost by it."""
        files.log_warnings()
        self.usm.replace_users(files.users)
        self.sources.replace(files.sources)
        self.expiries.update(files.tls.expiries)
        for listener, each in files.tls.listeners.items():
            self.tls[listener].context = each.context

    def tls_links(self) -> dict[str, TlsLink]:
        """Every link that has a certificate, for the status document."""
        failures = {
            name: {reason.value: count for reason, count in tls.failures.items()}
            for name, tls in self.tls.items()
        }
        return {
            name: TlsLink(expires_at, failures.get(name, {}))
            for name, expires_at in self.expiries.items()
        }


def _communities(settings: Settings) -> list[str]:
    return [each.reveal() for each in settings.communities]
