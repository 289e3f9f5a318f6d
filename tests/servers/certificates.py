"""Certificates for tests, by openssl: an authority, a server on 127.0.0.1, a client."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """What one authority has signed. Every file may be read by every user."""

    ca: Path
    server: KeyPair
    client: KeyPair


@dataclass(frozen=True, slots=True)
class TlsParty:
    """Everybody whom a TLS listener may meet.

    Attributes:
        ca: Who vouches for server, sender, relay and expired.
        other_ca: Who vouches for stranger.
        server: On 127.0.0.1, ::1 and localhost.
        sender: sender.example, by its subjectAltName.
        relay: Called relay, by its common name alone.
    """

    ca: KeyPair
    other_ca: KeyPair
    server: KeyPair
    sender: KeyPair
    relay: KeyPair
    expired: KeyPair
    stranger: KeyPair


def make_party(directory: Path) -> TlsParty:
    """All of them, in an existing directory."""
    other = directory / "other"
    other.mkdir()
    ca, other_ca = make_authority(directory), make_authority(other)
    return TlsParty(
        ca=ca,
        other_ca=other_ca,
        server=sign(ca, directory, "server", "IP:127.0.0.1,IP:::1,DNS:localhost"),
        sender=sign(ca, directory, "sender", "DNS:sender.example,IP:192.0.2.7"),
        relay=sign(ca, directory, "relay", ""),
        expired=sign(ca, directory, "expired", "DNS:sender.example", days=-1),
        stranger=sign(other_ca, other, "stranger", "DNS:sender.example"),
    )


def client_context(ca: KeyPair, own: KeyPair | None = None) -> ssl.SSLContext:
    """TLS as a client speaks it that trusts that authority and shows that certificate."""
    context = ssl.create_default_context(cafile=ca.cert)
    if own is not None:
        context.load_cert_chain(own.cert, own.key)
    return context


def make_certificates(directory: Path) -> Certificates:
    """An authority of its own for whoever asks, in an existing directory."""
    authority = make_authority(directory)
    certificates = Certificates(
        ca=authority.cert,
        server=sign(authority, directory, "server", "IP:127.0.0.1,IP:::1,DNS:localhost"),
        client=sign(authority, directory, "client", "DNS:muttd.test"),
    )
    for path in directory.iterdir():
        path.chmod(0o644)
    return certificates


def make_authority(directory: Path) -> KeyPair:
    """An authority in an existing directory."""
    authority = KeyPair(directory / "ca.crt", directory / "ca.key")
    _openssl(
        f"req -x509 {_NEW_KEY} -days 30 -subj /CN=authority"
        f" -addext keyUsage=critical,keyCertSign,cRLSign"
        f" -keyout {authority.key} -out {authority.cert}"
    )
    return authority


def sign(
    authority: KeyPair, directory: Path, name: str, alt_names: str, *, days: int = 30
) -> KeyPair:
    """A certificate for a name, in files of that name; with days below 0 it has expired."""
    pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    names = f"subjectAltName={alt_names}\n" if alt_names else ""
    extensions.write_text(
        f"{names}extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n"
    )
    _openssl(f"req {_NEW_KEY} -subj /CN={name} -keyout {pair.key} -out {request}")
    _openssl(
        f"x509 -req -days {days} -in {request} -extfile {extensions}"
        f" -CA {authority.cert} -CAkey {authority.key} -CAcreateserial -out {pair.cert}"
    )
    return pair


def _openssl(words: str) -> None:
    done = subprocess.run(["openssl", *words.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
