"""RFC 5425, 4.2.2 and 5.2: may the peer with this certificate send?

    certificate --fingerprint--> sha-256:AB:CD:...  |
                --SAN, CN------> names, addresses   +--> one of those that are allowed?

What the TLS library says of a certificate that it has verified goes in; no TLS is spoken here.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HASHES = {"sha-1": hashlib.sha1, "sha-256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a verified certificate says of its owner.

    Attributes:
        der: The certificate as it was shown.
        dns_names: dNSName of its subjectAltName; without any, the common name of its subject.
        addresses: iPAddress of its subjectAltName, each in its shortest form.
    """

    der: bytes
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, der: bytes, fields: Mapping[str, Any]) -> PeerCertificate:
        """Read what ssl.SSLObject.getpeercert() gives.

        A certificate without any dNSName is known by its common name (RFC 5425, 5.2: SHOULD).
        """
        alternatives: Sequence[tuple[str, str]] = fields.get("subjectAltName", ())
        names = [_plain(value) for kind, value in alternatives if kind == "DNS"]
        if not names:
            subject: Iterable[Iterable[tuple[str, str]]] = fields.get("subject", ())
            pairs = [pair for each in subject for pair in each]
            names = [_plain(value) for kind, value in pairs if kind == "commonName"]
        addresses = [_address(value) for kind, value in alternatives if kind == "IP Address"]
        return cls(der, tuple(names), tuple(filter(None, addresses)))

    @property
    def name(self) -> str:
        """What to call its owner: its first name, its address, else its fingerprint."""
        return next(iter((*self.dns_names, *self.addresses)), self.fingerprint("sha-256"))

    def fingerprint(self, hash_name: str) -> str:
        """Its fingerprint in the form of RFC 5425, 4.2.2.

        Args:
            hash_name: sha-1 or sha-256.
        """
        digits = _HASHES[hash_name](self.der).hexdigest().upper()
        pairs = (digits[at : at + 2] for at in range(0, len(digits), 2))
        return ":".join((hash_name, *pairs))


def is_allowed(certificate: PeerCertificate, allowed: Sequence[str]) -> bool:
    """Whether the certificate is one of those allowed.

    Args:
        certificate: Verified.
        allowed: Fingerprints as fingerprint() writes them, addresses, and names in lower case, in
            which "*" stands for the left-most label (RFC 5425, 5.2), and alone for any name.
    """
    prints = {certificate.fingerprint(name) for name in _HASHES}
    return any(
        each in prints
        or each in certificate.addresses
        or any(_is_same(each, name) for name in certificate.dns_names)
        for each in allowed
    )


def _is_same(allowed: str, name: str) -> bool:
    """Whether two names are the same, a wildcard in either of them.

    Source: RFC 5425, 5.2: *.example.com is a.example.com, and neither example.com nor
    a.b.example.com.
    """
    if allowed in ("*", name):
        return True
    first, _, rest = allowed.partition(".")
    name_first, _, name_rest = name.partition(".")
    return bool(rest) and rest == name_rest and bool(name_first) and "*" in (first, name_first)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _address(text: str) -> str | None:
    try:
        # OpenSSL writes IPv6 addresses long, and in upper case.
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
