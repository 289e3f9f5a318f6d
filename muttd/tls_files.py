"""Certificates from files: an SSLContext for a listener, or every reason why there is none.

    TlsFiles --load_server_tls--> LoadedTls(context, when it expires)     ConfigError: all mistakes

A context is made whole or not at all, so that a reload with a wrong file leaves the old one in
force. Python's ssl asks OpenSSL, which asks nobody for a passphrase here.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from muttd.errors import ConfigError

# A chain of some hundred certificates. A device named by mistake must not fill the memory.
_MAX_OCTETS = 1_048_576
_VERIFY = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file and the setting that names it."""

    setting: str
    path: Path

    def read(self) -> bytes:
        """What it holds.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            # Not to wait for a writer, should it be a FIFO.
            with open(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                return file.read(_MAX_OCTETS) or b""
        except OSError as exc:
            raise self.mistake(f"cannot read {self.path}: {exc.strerror}") from exc

    def mistake(self, what: str) -> ConfigError:
        """What is wrong with it, as an error to raise."""
        return ConfigError([f"{self.setting}: {what}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a listener speaks TLS with.

    Attributes:
        cert: Its certificate, and those that lead to a CA.
        key: The private key of the first of them.
        ca: What certificates of peers are verified by; needed unless client_cert is none.
        client_cert: none, optional or required.
        min_version: Of TLS: 1.2 or 1.3.
        resumes: Whether clients get tickets to come back with. A sender of syslog never reads
            them: when it closes, its kernel resets the connection for what is left unread, and
            what we had not read yet goes with it.
    """

    cert: NamedFile
    key: NamedFile
    ca: NamedFile | None = None
    client_cert: str = "none"
    min_version: str = "1.2"
    resumes: bool = True


@dataclass(frozen=True, slots=True)
class LoadedTls:
    """Certificates that are right.

    Attributes:
        context: For the next connection.
        expires_at: When the certificate does; aware, UTC.
        warnings: What is not wrong, but should be looked at; one line each.
    """

    context: ssl.SSLContext
    expires_at: datetime
    warnings: tuple[str, ...]


def load_server_tls(files: TlsFiles, *, now: datetime, forgive_expired: bool) -> LoadedTls:
    """Read the files.

    Args:
        files: Which.
        now: Aware.
        forgive_expired: An expired certificate is a warning. So it is at a start, where there is
            no better one: UDP and SNMP must not stay deaf for it.

    Raises:
        ConfigError: Every mistake in them.

    Cost: some milliseconds of disk and of arithmetic; off the loop, please.
    """
    mistakes: list[str] = []
    warnings: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[files.min_version]
    # A peer that renegotiates again and again makes us do a handshake for an octet of its own.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not files.resumes:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    expires_at = now
    try:
        expires_at = certificate_expiry(files.cert, now, warnings if forgive_expired else None)
        files.key.read()
        _load_pair(context, files)
    except ConfigError as exc:
        mistakes += exc.mistakes
    else:
        warnings += _loose_mode(files.key)
    try:
        _load_authorities(context, files)
    except ConfigError as exc:
        mistakes += exc.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return LoadedTls(context, expires_at, tuple(warnings))


def certificate_expiry(cert: NamedFile, now: datetime, warnings: list[str] | None) -> datetime:
    """When the first certificate in a file expires; aware, UTC.

    Args:
        cert: The file.
        now: Aware.
        warnings: Told that it is not valid now; None: that is a mistake.

    Raises:
        ConfigError: It is not valid now, or not there.
    """
    octets = cert.read()
    try:
        first = x509.load_pem_x509_certificates(octets)[0]
        begins_at, expires_at = first.not_valid_before_utc, first.not_valid_after_utc
    except ValueError as exc:
        raise cert.mistake(f"{cert.path} holds no certificate in PEM form") from exc
    wrong = None
    if expires_at <= now:
        wrong = f"the certificate in {cert.path} expired at {_written(expires_at)}"
    elif begins_at > now:
        wrong = f"the certificate in {cert.path} is valid from {_written(begins_at)} only"
    if wrong and warnings is None:
        raise cert.mistake(wrong)
    if wrong and warnings is not None:
        warnings.append(f"{cert.setting}: {wrong}")
    return expires_at


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _no_passphrase() -> str:
    # Else OpenSSL would ask the terminal, and wait.
    raise ValueError("the key has a passphrase")


def _load_pair(context: ssl.SSLContext, files: TlsFiles) -> None:
    key = files.key
    try:
        context.load_cert_chain(files.cert.path, key.path, password=_no_passphrase)
    except ValueError as exc:
        raise key.mistake(
            f"the key in {key.path} has a passphrase; it must be there without one"
        ) from exc
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            what = f"the key in {key.path} is not that of the certificate in {files.cert.path}"
        elif exc.reason and exc.reason.endswith("_TOO_SMALL"):
            what = f"the key of the certificate in {files.cert.path} is too short to be safe"
        elif exc.reason and exc.reason.startswith(("CA_MD", "EE_KEY", "CA_KEY")):
            what = f"the certificate in {files.cert.path} is signed too weakly to be safe"
        else:
            what = f"{key.path} holds no private key in PEM form"
        raise key.mistake(what) from exc
    except OSError as exc:
        raise key.mistake(f"cannot read {key.path}: {exc.strerror}") from exc


def _load_authorities(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.verify_mode = _VERIFY[files.client_cert]
    if files.client_cert == "none" or files.ca is None:
        return
    # What stands in the file is trusted itself: a peer's own certificate may stand there, which
    # nobody else has signed (RFC 5425, 4.2.2).
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    files.ca.read()
    try:
        context.load_verify_locations(files.ca.path)
    except OSError as exc:
        raise files.ca.mistake(f"{files.ca.path} holds no certificates in PEM form") from exc


def _loose_mode(key: NamedFile) -> list[str]:
    try:
        mode = stat.S_IMODE(key.path.stat().st_mode)
    except OSError:
        # It was read a moment ago, and was replaced since.
        return []
    if not mode & stat.S_IRWXO:
        return []
    return [f"{key.setting}: everybody may read {key.path}; run: chmod 600 {key.path}"]
