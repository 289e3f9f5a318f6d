"""Certificates for tests, by openssl: an authority, a server on 127.0.0.1, a client."""

from __future__ import annotations

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


def make_certificates(directory: Path) -> Certificates:
    """An authority of its own for whoever asks, in an existing directory."""
    authority = KeyPair(directory / "ca.crt", directory / "ca.key")
    _openssl(
        f"req -x509 {_NEW_KEY} -days 2 -subj /CN=authority"
        f" -addext keyUsage=critical,keyCertSign,cRLSign"
        f" -keyout {authority.key} -out {authority.cert}"
    )
    certificates = Certificates(
        ca=authority.cert,
        server=_sign(authority, directory, "server", "IP:127.0.0.1,IP:::1,DNS:localhost"),
        client=_sign(authority, directory, "client", "DNS:muttd.test"),
    )
    for path in directory.iterdir():
        path.chmod(0o644)
    return certificates


def _sign(authority: KeyPair, directory: Path, name: str, alt_names: str) -> KeyPair:
    pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    extensions.write_text(
        f"subjectAltName={alt_names}\nextendedKeyUsage=serverAuth,clientAuth\n"
        "basicConstraints=CA:FALSE\n"
    )
    _openssl(f"req {_NEW_KEY} -subj /CN={name} -keyout {pair.key} -out {request}")
    _openssl(
        f"x509 -req -days 2 -in {request} -extfile {extensions}"
        f" -CA {authority.cert} -CAkey {authority.key} -CAcreateserial -out {pair.cert}"
    )
    return pair


def _openssl(words: str) -> None:
    done = subprocess.run(["openssl", *words.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
