"""muttd/wiring_tls.py: which certificates are taken, at a start and later."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from servers.certificates import KeyPair, TlsParty

from muttd.errors import ConfigError
from muttd.settings import Settings, load
from muttd.wiring_tls import load_tls, tls_files


def settings_of(pair: KeyPair, **more: str) -> Settings:
    return load({"MUTTD_TLS_CERT": str(pair.cert), "MUTTD_TLS_KEY": str(pair.key), **more})


def mistakes_of(settings: Settings, in_force: dict[str, datetime] | None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_tls(settings, in_force)
    return caught.value.mistakes


def test_every_link_with_a_certificate_has_an_expiry(tls_party: TlsParty) -> None:
    settings = settings_of(
        tls_party.server,
        MUTTD_REDIS_URL="rediss://r",
        MUTTD_DATABASE_URL="postgresql://p/mutt?sslmode=verify-full",
    )
    loaded = load_tls(settings, None)
    assert set(loaded.listeners) == {"syslog_tls", "http"}
    assert set(loaded.expiries) == {"syslog_tls", "http", "redis", "postgres"}
    assert loaded.warnings == []


def test_what_we_show_on_a_link_of_our_own_is_read_too(tls_party: TlsParty) -> None:
    sender, expired = tls_party.sender, tls_party.expired
    settings = load(
        {
            "MUTTD_REDIS_URL": "rediss://r",
            "MUTTD_REDIS_TLS_CERT": str(sender.cert),
            "MUTTD_REDIS_TLS_KEY": str(sender.key),
            "MUTTD_MOOG_WEBHOOK_URL": "https://moog.example/events",
            "MUTTD_MOOG_TLS_CERT": str(expired.cert),
            "MUTTD_MOOG_TLS_KEY": str(expired.key),
            "VAULT_ADDR": "https://vault.example",
            "VAULT_ROLE_ID": "role",
            "VAULT_SECRETS_PATH": "muttd",
            "VAULT_CLIENT_CERT": str(sender.cert),
            "VAULT_CLIENT_KEY": str(sender.key),
        }
    )
    loaded = load_tls(settings, None)
    assert set(loaded.expiries) == {"redis", "webhook", "vault"}
    [warning] = loaded.warnings
    assert warning.startswith("MUTTD_MOOG_TLS_CERT: the certificate in ")


def test_without_tls_nothing_is_read(tls_party: TlsParty) -> None:
    assert load_tls(load({}), None).expiries == {}
    pair = tls_party.server
    off = settings_of(
        pair, MUTTD_SYSLOG_TLS="off", MUTTD_HTTP_TLS="off", MUTTD_REDIS_URL="redis://r"
    )
    assert load_tls(off, None).expiries == {}
    assert load_tls(settings_of(pair, MUTTD_HTTP="off"), None).expiries.keys() == {"syslog_tls"}


def test_a_listener_may_have_files_of_its_own(tls_party: TlsParty) -> None:
    relay, sender = tls_party.relay, tls_party.sender
    files = tls_files(
        settings_of(
            tls_party.server,
            MUTTD_SYSLOG_TLS_CERT=str(relay.cert),
            MUTTD_SYSLOG_TLS_KEY=str(relay.key),
            MUTTD_SYSLOG_TLS_CA=str(tls_party.other_ca.cert),
            MUTTD_HTTP_TLS_CERT=str(sender.cert),
            MUTTD_HTTP_TLS_KEY=str(sender.key),
        )
    )
    assert {name: each.cert.path for name, each in files.items()} == {
        "syslog_tls": relay.cert,
        "http": sender.cert,
    }
    assert files["syslog_tls"].ca is not None
    assert files["syslog_tls"].ca.setting == "MUTTD_SYSLOG_TLS_CA"


def test_an_expired_certificate_is_refused_unless_it_is_the_one_in_force(
    tls_party: TlsParty,
) -> None:
    settings = settings_of(tls_party.expired)
    at_start = load_tls(settings, None)
    [warning] = at_start.warnings
    assert " expired at " in warning
    assert load_tls(settings, at_start.expiries).warnings == [warning]
    others = {link: at + timedelta(days=9) for link, at in at_start.expiries.items()}
    assert mistakes_of(settings, others) == (warning,)


def test_what_is_wrong_with_a_file_of_several_links_is_said_once(
    tls_party: TlsParty, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    settings = settings_of(KeyPair(gone, tls_party.server.key), MUTTD_REDIS_URL="rediss://r")
    assert mistakes_of(settings, None) == (
        f"MUTTD_TLS_CERT: cannot read {gone}: No such file or directory",
    )
