"""Where PostgreSQL is and how we come to it: one connection URI of libpq, taken apart.

    postgresql://user@db-1:5432,db-2:5432/mutt?sslmode=verify-full
      -> Server("db-1:5432", {host, port, user, dbname, ...}), Server("db-2:5432", {...})

One Server per host: which of them takes writes is found out by asking one after the other, each
with a share of the deadline, and not by libpq, which would give the first all of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

# Dead peers that sent no FIN: found 45 s later, instead of after the two hours of the kernel.
_DEFAULTS = {
    "application_name": "muttd",
    "client_encoding": "UTF8",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    # Kerberos would be asked first, by blocking calls that no deadline ends.
    "gssencmode": "disable",
}
_DEFAULT_PORT = "5432"
# Where Debian and the RHEL family keep the CA certificates of the machine.
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True, slots=True)
class Server:
    """One host of the URL.

    Attributes:
        name: host:port, for messages.
        parameters: What libpq is told; without the password.
    """

    name: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """How PostgreSQL is reached. Its repr shows neither the URL nor a password.

    Attributes:
        url: postgresql://, several hosts allowed. The first of them that takes writes is used,
            unless the URL itself has target_session_attrs.
        passwords: Tried one after the other, before the one in the URL: during a rotation two
            are valid.
        pool_size: Connections for events and pages; two more serve pings and retention.
        timeout_s: A write, a connection or a small read that takes longer has failed.
        ca, cert, key: Files, used when the URL asks for TLS.
        auto_migrate: Bring the schema up to date before the first use.

    Raises:
        ValueError: libpq does not take the URL. The text does not quote it.
    """

    url: str = field(repr=False)
    passwords: tuple[str, ...] = field(default=(), repr=False)
    pool_size: int = 8
    timeout_s: float = 5.0
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    auto_migrate: bool = True

    def __post_init__(self) -> None:
        self.servers()

    def servers(self) -> list[Server]:
        """Every host of the URL, in its order."""
        parameters = self._parameters()
        parameters.pop("password", None)
        hosts = parameters.pop("host", "").split(",")
        addresses = _spread("hostaddr", parameters.pop("hostaddr", None), len(hosts))
        ports = _spread("port", parameters.pop("port", None), len(hosts))
        if len(hosts) > 1:
            parameters.setdefault("target_session_attrs", "read-write")
        servers = []
        for host, address, port in zip(hosts, addresses, ports, strict=True):
            its = {"host": host, "hostaddr": address or "", "port": port or _DEFAULT_PORT}
            # An absent parameter has a default; an empty one has not.
            own = {name: value for name, value in its.items() if value}
            servers.append(Server(f"{host or 'local'}:{own['port']}", {**parameters, **own}))
        return servers

    def all_passwords(self) -> list[str | None]:
        """What to try, in this order; None leaves it to libpq (a password file, or none at all)."""
        own = self._parameters().get("password")
        return [*self.passwords, *([own] if own else [])] or [None]

    def _parameters(self) -> dict[str, str]:
        try:
            given = conninfo_to_dict(self.url)
        except psycopg.Error:
            # libpq quotes the text, and with it the password.
            raise ValueError("libpq does not understand this URL") from None
        parameters = {**_DEFAULTS, **{name: str(value) for name, value in given.items()}}
        files = {"sslrootcert": self.ca, "sslcert": self.cert, "sslkey": self.key}
        for name, path in files.items():
            if path is not None:
                parameters.setdefault(name, str(path))
        if parameters.get("sslmode") in ("verify-ca", "verify-full"):
            parameters.setdefault("sslrootcert", _machine_ca())
        return parameters


def _spread(name: str, value: str | None, host_count: int) -> list[str]:
    """libpq: one value is for all hosts, else there is one for each."""
    values = (value or "").split(",")
    if len(values) == 1:
        return values * host_count
    if len(values) != host_count:
        raise ValueError(f"{len(values)} values of {name} for {host_count} hosts")
    return values


def _machine_ca() -> str:
    # The OpenSSL that comes with psycopg's wheel does not know where this machine keeps them.
    for path in (ssl.get_default_verify_paths().cafile, *_CA_BUNDLES):
        if path is not None and Path(path).exists():
            return path
    return "system"
