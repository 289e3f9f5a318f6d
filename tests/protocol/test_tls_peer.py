"""muttd/protocol/tls_peer.py: RFC 5425, 4.2.2 and 5.2."""

from __future__ import annotations

import pytest

from muttd.protocol.tls_peer import PeerCertificate, is_allowed
from muttd.settings_values import parse_tls_peers

DER = b"the octets of a certificate"


def certificate(*dns_names: str, addresses: tuple[str, ...] = ()) -> PeerCertificate:
    return PeerCertificate(DER, dns_names, addresses)


@pytest.mark.parametrize(
    ("allowed", "name", "is_in"),
    [
        ("a.example.com", "a.example.com", True),
        ("a.example.com", "b.example.com", False),
        # RFC 5425, 5.2, in its own words.
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        # The wildcard may be the certificate's.
        ("a.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("a.b.example.com", "*.example.com", False),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "*.example.org", False),
        ("*", "anybody", True),
        # One label has nothing left of it that a wildcard could stand for.
        ("relay", "*", False),
        ("*.example.com", ".example.com", False),
    ],
)
def test_a_wildcard_stands_for_the_left_most_label(allowed: str, name: str, is_in: bool) -> None:
    assert is_allowed(certificate(name), parse_tls_peers(allowed)) is is_in


def test_any_name_and_any_entry_will_do() -> None:
    allowed = parse_tls_peers("x.example, SENDER.Example., 2001:0DB8::1")
    assert is_allowed(certificate("other", "sender.example"), allowed)
    assert is_allowed(certificate("other", addresses=("2001:db8::1",)), allowed)
    assert not is_allowed(certificate("other", addresses=("2001:db8::2",)), allowed)
    assert not is_allowed(certificate(), allowed)


def test_a_fingerprint_is_that_of_the_certificate_and_no_other() -> None:
    shown = certificate("anybody").fingerprint("sha-256")
    assert is_allowed(certificate("anybody"), parse_tls_peers(shown.lower()))
    assert not is_allowed(PeerCertificate(b"another", ("anybody",)), parse_tls_peers(shown))
    assert is_allowed(certificate(), parse_tls_peers(certificate().fingerprint("sha-1")))


def test_a_fingerprint_is_written_as_the_rfc_writes_it() -> None:
    """RFC 5425, 4.2.2 has an example with SHA-1; the form is the same."""
    shown = certificate().fingerprint("sha-1")
    assert len(shown) == len("sha-1:E1:2D:53:2B:7C:6B:8A:29:A2:76:C8:64:36:0B:08:4B:7A:F1:9E:9D")
    assert shown.startswith("sha-1:")
    assert shown[6:] == shown[6:].upper()


def test_the_common_name_counts_only_without_a_dns_name() -> None:
    subject = ((("countryName", "DE"),), (("commonName", "Relay-1"),))
    named = {"subject": subject, "subjectAltName": (("DNS", "Sender.Example"),)}
    assert PeerCertificate.of(DER, named).dns_names == ("sender.example",)
    assert PeerCertificate.of(DER, {"subject": subject}).dns_names == ("relay-1",)
    addressed = {
        "subject": subject,
        "subjectAltName": (("IP Address", "2001:DB8:0:0:0:0:0:1"), ("email", "a@b")),
    }
    read = PeerCertificate.of(DER, addressed)
    assert (read.dns_names, read.addresses) == (("relay-1",), ("2001:db8::1",))


def test_an_address_that_is_none_is_passed_over() -> None:
    fields = {"subjectAltName": (("IP Address", "<invalid>"),)}
    assert PeerCertificate.of(DER, fields).addresses == ()


def test_whoever_has_no_name_is_called_by_his_fingerprint() -> None:
    assert certificate("a", addresses=("192.0.2.1",)).name == "a"
    assert certificate(addresses=("192.0.2.1",)).name == "192.0.2.1"
    assert certificate().name == certificate().fingerprint("sha-256")
