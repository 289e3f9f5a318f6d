"""muttd/tls_files.py: what is right is loaded, and what is wrong is named."""

from __future__ import annotations

import os
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers.certificates import KeyPair, TlsParty

from muttd.errors import ConfigError
from muttd.tls_files import LoadedTls, NamedFile, TlsFiles, load_server_tls


def files(pair: KeyPair, ca: Path | None = None, client_cert: str = "none") -> TlsFiles:
    return TlsFiles(
        cert=NamedFile("CERT", pair.cert),
        key=NamedFile("KEY", pair.key),
        ca=None if ca is None else NamedFile("CA", ca),
        client_cert=client_cert,
    )


def load(what: TlsFiles, *, forgive_expired: bool = False, at: datetime | None = None) -> LoadedTls:
    return load_server_tls(what, now=at or datetime.now(UTC), forgive_expired=forgive_expired)


def mistakes_of(what: TlsFiles, *, at: datetime | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(what, at=at)
    return caught.value.mistakes


def test_a_certificate_is_loaded_with_the_time_at_which_it_expires(tls_party: TlsParty) -> None:
    loaded = load(files(tls_party.server))
    assert timedelta(days=29) < loaded.expires_at - datetime.now(UTC) < timedelta(days=31)
    assert loaded.context.verify_mode is ssl.CERT_NONE
    assert loaded.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("client_cert", "mode"), [("optional", ssl.CERT_OPTIONAL), ("required", ssl.CERT_REQUIRED)]
)
def test_clients_are_verified_by_the_ca(
    tls_party: TlsParty, client_cert: str, mode: ssl.VerifyMode
) -> None:
    loaded = load(files(tls_party.server, tls_party.ca.cert, client_cert))
    assert loaded.context.verify_mode is mode
    assert loaded.context.cert_store_stats()["x509_ca"] == 1


def test_an_expired_certificate_is_refused_and_at_a_start_forgiven(tls_party: TlsParty) -> None:
    [mistake] = mistakes_of(files(tls_party.expired))
    assert mistake.startswith(f"CERT: the certificate in {tls_party.expired.cert} expired at 20")
    assert load(files(tls_party.expired), forgive_expired=True).warnings == (mistake,)


def test_a_certificate_of_the_future_is_refused(tls_party: TlsParty) -> None:
    [mistake] = mistakes_of(files(tls_party.server), at=datetime.now(UTC) - timedelta(days=9))
    assert " is valid from 20" in mistake


def test_a_key_of_another_certificate_is_refused(tls_party: TlsParty) -> None:
    pair = KeyPair(tls_party.server.cert, tls_party.sender.key)
    assert mistakes_of(files(pair)) == (
        f"KEY: the key in {pair.key} is not that of the certificate in {pair.cert}",
    )


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    tls_party: TlsParty, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    words = f"pkcs8 -topk8 -in {tls_party.server.key} -out {locked} -passout pass:secret"
    subprocess.run(["openssl", *words.split()], check=True)
    [mistake] = mistakes_of(files(KeyPair(tls_party.server.cert, locked)))
    assert mistake == f"KEY: the key in {locked} has a passphrase; it must be there without one"


def test_what_is_no_pem_is_refused(tls_party: TlsParty, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("-----BEGIN NONSENSE-----\n")
    assert mistakes_of(files(KeyPair(rubbish, tls_party.server.key))) == (
        f"CERT: {rubbish} holds no certificate in PEM form",
    )
    assert mistakes_of(files(KeyPair(tls_party.server.cert, rubbish))) == (
        f"KEY: {rubbish} holds no private key in PEM form",
    )
    assert mistakes_of(files(tls_party.server, rubbish, "required")) == (
        f"CA: {rubbish} holds no certificates in PEM form",
    )


def test_every_file_that_is_missing_is_named(tls_party: TlsParty, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert mistakes_of(files(KeyPair(gone, tls_party.server.key), gone, "required")) == (
        f"CERT: cannot read {gone}: No such file or directory",
        f"CA: cannot read {gone}: No such file or directory",
    )
    [mistake] = mistakes_of(files(KeyPair(tls_party.server.cert, gone)))
    assert mistake == f"KEY: cannot read {gone}: No such file or directory"


def test_a_key_that_everybody_may_read_is_a_warning(tls_party: TlsParty, tmp_path: Path) -> None:
    loose = tmp_path / "loose.key"
    loose.write_bytes(tls_party.server.key.read_bytes())
    loose.chmod(0o644)
    [warning] = load(files(KeyPair(tls_party.server.cert, loose))).warnings
    assert warning == f"KEY: everybody may read {loose}; run: chmod 600 {loose}"


def test_a_listener_without_resumption_gives_no_tickets(tls_party: TlsParty) -> None:
    pair = tls_party.server
    loaded = load(
        TlsFiles(cert=NamedFile("CERT", pair.cert), key=NamedFile("KEY", pair.key), resumes=False)
    )
    assert loaded.context.num_tickets == 0
    assert loaded.context.options & ssl.OP_NO_TICKET


def test_a_fifo_is_not_waited_for(tls_party: TlsParty, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert mistakes_of(files(KeyPair(fifo, tls_party.server.key))) == (
        f"CERT: {fifo} holds no certificate in PEM form",
    )
