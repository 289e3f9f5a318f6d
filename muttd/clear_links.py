"""Every link in the clear, by the setting that makes it so: what MUTTD_TLS_REQUIRED refuses.

    in     syslog over UDP and TCP, SNMPv1 and v2c, SNMPv3 users without encryption, HTTP
    out    Redis, PostgreSQL, the webhook and every other destination, Vault

A link that is encrypted and does not verify whom it leads to is in the clear for whoever stands in
between. A socket of this machine is no link.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from muttd.destinations import SETTING, DestinationConfig
from muttd.errors import ConfigError
from muttd.protocol.usm_users import UsmUser
from muttd.settings import Settings

# Devices that speak nothing else are exempted by these names; what we choose ourselves is not.
_EXEMPT = ("syslog_udp", "syslog_tcp", "snmp")
_VERIFYING = ("verify-ca", "verify-full")


def refuse_clear_links(
    settings: Settings, users: Sequence[UsmUser], destinations: Iterable[DestinationConfig]
) -> None:
    """Raise when TLS is required and something is in the clear.

    Args:
        settings: All of them.
        users: Of SNMPv3.
        destinations: Where alerts go; the one of MUTTD_MOOG_* may be among them.

    Raises:
        ConfigError: Every such link; or a word in MUTTD_TLS_EXEMPT that names none.
    """
    exempt = [word.strip() for word in settings.tls.exempt.split(",") if word.strip()]
    mistakes = [
        f"MUTTD_TLS_EXEMPT: no such listener: {word!r}; it is one of {', '.join(_EXEMPT)}"
        for word in exempt
        if word not in _EXEMPT
    ]
    if settings.tls.required:
        mistakes += _clear_links_in(settings, users, exempt)
        mistakes += _clear_links_out(settings)
        mistakes += [
            f"{SETTING}: the way to {each.name!r} is in the clear, and MUTTD_TLS_REQUIRED is true;"
            " use https://"
            for each in destinations
            if urlsplit(each.url).scheme != "https" and each.url != settings.moog.webhook_url
        ]
    if mistakes:
        raise ConfigError(mistakes)


def _clear_links_in(
    settings: Settings, users: Sequence[UsmUser], exempt: Sequence[str]
) -> Iterator[str]:
    def clear(listener: str, setting: str, what: str) -> Iterator[str]:
        if listener not in exempt:
            yield f"{setting}: {what}, and MUTTD_TLS_REQUIRED is true; {_cure(listener)}"

    if settings.syslog.udp:
        yield from clear("syslog_udp", "MUTTD_SYSLOG_UDP", "syslog over UDP is in the clear")
    if settings.syslog.tcp:
        yield from clear("syslog_tcp", "MUTTD_SYSLOG_TCP", "syslog over TCP is in the clear")
    if settings.snmp.udp and settings.communities:
        said = "SNMPv1 and v2c are in the clear"
        yield from clear("snmp", "MUTTD_SNMP_COMMUNITIES", said)
    for user in users if settings.snmp.udp else ():
        if user.priv is None:
            name = user.name.decode(errors="replace")
            said = f"the notifications of {name!r} are in the clear"
            yield from clear("snmp", "MUTTD_SNMP_USERS_FILE", said)
    if settings.http and not settings.is_https:
        yield (
            "MUTTD_HTTP: HTTP is in the clear, and MUTTD_TLS_REQUIRED is true;"
            " set MUTTD_TLS_CERT and MUTTD_TLS_KEY"
        )


def _cure(listener: str) -> str:
    others = {
        "syslog_udp": "set it to off, have devices send to MUTTD_SYSLOG_TLS",
        "syslog_tcp": "set it to off, have devices send to MUTTD_SYSLOG_TLS",
        "snmp": "have devices send SNMPv3 with authPriv",
    }
    return f"{others[listener]}, or add {listener} to MUTTD_TLS_EXEMPT"


def _clear_links_out(settings: Settings) -> Iterator[str]:
    redis = settings.redis.url
    if redis is not None and not redis.reveal().startswith("rediss"):
        yield (
            "MUTTD_REDIS_URL: the way to Redis is in the clear, and MUTTD_TLS_REQUIRED is true;"
            " use rediss:// or rediss+sentinel://"
        )
    database = settings.database.url
    if database is not None and not _verifies(database.reveal()):
        yield (
            "MUTTD_DATABASE_URL: the way to PostgreSQL is in the clear or unverified, and"
            " MUTTD_TLS_REQUIRED is true; add ?sslmode=verify-full"
        )
    for name, url in (
        ("MUTTD_MOOG_WEBHOOK_URL", settings.moog.webhook_url),
        ("VAULT_ADDR", settings.vault.addr),
    ):
        if url is not None and urlsplit(url).scheme != "https":
            yield f"{name}: is in the clear, and MUTTD_TLS_REQUIRED is true; use https://"


def _verifies(url: str) -> bool:
    parts = urlsplit(url)
    parameters = parse_qs(parts.query)
    hosts = ",".join([*parameters.get("host", ()), parts.netloc.rpartition("@")[2]])
    named = [unquote(host) for host in hosts.split(",") if host]
    if all(host.startswith("/") for host in named):
        return True
    return bool(parameters.keys() & {"sslmode"}) and parameters["sslmode"][-1] in _VERIFYING
