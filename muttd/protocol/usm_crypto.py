"""Ciphers of the User-based Security Model: keys, digests, encryption (RFC 3414, 3826, 7860).

    passphrase --1 MiB of it, hashed--> Ku --hashed with the engine ID--> Kul   RFC 3414, A.2, 2.6
    Kul too short for AES-192 and AES-256:
        Kul | H(Kul)             AES-192, AES-256       draft-blumenthal-aes-usm-04, 3.1.2.1
        Kul | localised(Ku of Kul)  AES-192-C, -256-C   draft-reeder-snmpv3-usm-3desede-00, 2.1

Ku is costly by design, and is computed once for a user. Kul costs a microsecond, but for the second
kind of extension, which hashes a MiB again for every engine: is_costly() says when.
The names are those of createUser in snmptrapd.conf.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

# RFC 3414, A.2: how much of the repeated passphrase is hashed.
_STRETCHED_OCTETS = 1_048_576
# Of both kinds: RFC 3414, 8.1.1.1 and RFC 3826, 3.1.2.1.
SALT_OCTETS = 8
_DES_BLOCK_OCTETS = 8

_AES_BLOCK_OCTETS = 16

_IV = struct.Struct(">II")
# RFC 2104, 2: ipad and opad.
_INNER = bytes(octet ^ 0x36 for octet in range(256))
_OUTER = bytes(octet ^ 0x5C for octet in range(256))


class AuthProtocol(enum.Enum):
    """How a message is authenticated: (name, hash, octets of its digest, octets of the MAC).

    Source: RFC 3414, 6 and 7; RFC 7860, 4.1.
    """

    MD5 = ("MD5", "md5", 16, 12)
    SHA = ("SHA", "sha1", 20, 12)
    SHA_224 = ("SHA-224", "sha224", 28, 16)
    SHA_256 = ("SHA-256", "sha256", 32, 24)
    SHA_384 = ("SHA-384", "sha384", 48, 32)
    SHA_512 = ("SHA-512", "sha512", 64, 48)

    def __init__(self, label: str, digest: str, key_octets: int, mac_octets: int) -> None:
        self.label = label
        self.digest = digest
        self.key_octets = key_octets
        self.mac_octets = mac_octets


class PrivProtocol(enum.Enum):
    """How a message is encrypted: (name, octets of its key, how a short key is extended).

    Source: RFC 3414, 8; RFC 3826, 3; the drafts above for keys of more than 128 bits.
    """

    DES = ("DES", 16, "")
    AES = ("AES", 16, "")
    AES_192 = ("AES-192", 24, "blumenthal")
    AES_256 = ("AES-256", 32, "blumenthal")
    AES_192_C = ("AES-192-C", 24, "reeder")
    AES_256_C = ("AES-256-C", 32, "reeder")

    def __init__(self, label: str, key_octets: int, extension: str) -> None:
        self.label = label
        self.key_octets = key_octets
        self.extension = extension


def stretched(auth: AuthProtocol, passphrase: bytes) -> bytes:
    """Ku: the key of a passphrase, before it is localised.

    Args:
        passphrase: At least one octet.

    Cost: a MiB hashed, 1 to 3 ms; the interpreter is free meanwhile.
    Source: RFC 3414, A.2; RFC 7860, 9.3.
    """
    repeated = passphrase * (_STRETCHED_OCTETS // len(passphrase) + 1)
    return hashlib.new(auth.digest, repeated[:_STRETCHED_OCTETS]).digest()


def localised(auth: AuthProtocol, key: bytes, engine_id: bytes) -> bytes:
    """Kul: the key of a user at one engine, made of Ku.

    Source: RFC 3414, 2.6.
    """
    return hashlib.new(auth.digest, key + engine_id + key).digest()


def localised_priv(auth: AuthProtocol, priv: PrivProtocol, key: bytes, engine_id: bytes) -> bytes:
    """The key that a user encrypts with at one engine, made of Ku and as long as the cipher wants.

    Source: RFC 3414, 8.2.1; RFC 3826, 1.2; the drafts in the head of this module.
    """
    whole = localised(auth, key, engine_id)
    # Once is enough: no hash is shorter than half of the longest key.
    if len(whole) < priv.key_octets:
        if priv.extension == "reeder":
            whole += localised(auth, stretched(auth, whole), engine_id)
        else:
            whole += hashlib.new(auth.digest, whole).digest()
    return whole[: priv.key_octets]


def is_costly(auth: AuthProtocol, priv: PrivProtocol) -> bool:
    """Whether localised_priv() takes milliseconds."""
    return priv.extension == "reeder" and auth.key_octets < priv.key_octets


def mac(auth: AuthProtocol, key: bytes, octets: bytes) -> bytes:
    """The truncated HMAC of octets (RFC 2104).

    Source: RFC 3414, 6.3.1 and 7.3.1; RFC 7860, 4.2.1.
    """
    return hmac.digest(key, octets, auth.digest)[: auth.mac_octets]


def decrypt(
    priv: PrivProtocol, key: bytes, engine: tuple[int, int], salt: bytes, octets: bytes
) -> bytes:
    """The scopedPDU of an encryptedPDU; with a wrong key, octets that mean nothing.

    Args:
        key: As localised_priv() gives it.
        engine: snmpEngineBoots and snmpEngineTime of the message, 32 bits each.
        salt: msgPrivacyParameters, 8 octets.
        octets: For DES a multiple of 8 (RFC 3414, 8.1.1.3). DES leaves its padding behind.
    """
    decryptor = _cipher(priv, key, engine, salt).decryptor()
    return decryptor.update(octets)


def encrypt(
    priv: PrivProtocol, key: bytes, engine: tuple[int, int], salt: bytes, octets: bytes
) -> bytes:
    """The encryptedPDU of a scopedPDU; arguments as of decrypt().

    Source: RFC 3414, 8.1.1.2, pads for DES; RFC 3826, 3.1.3, does not for AES.
    """
    if priv is PrivProtocol.DES:
        octets += bytes(-len(octets) % _DES_BLOCK_OCTETS)
    return _cipher(priv, key, engine, salt).encryptor().update(octets)


class Authenticator:
    """What mac() does with one key, in half of the time: the hash is not looked up by name again.

    Attributes:
        zeros: What stands in the place of the MAC while it is computed.
    """

    __slots__ = ("_hash", "_inner", "_outer", "zeros")

    def __init__(self, auth: AuthProtocol, key: bytes) -> None:
        self.zeros = bytes(auth.mac_octets)
        self._hash = getattr(hashlib, auth.digest)
        # No key is longer than a block: it is itself such a hash.
        key = key.ljust(self._hash().block_size, b"\0")
        self._inner = key.translate(_INNER)
        self._outer = key.translate(_OUTER)

    def mac(self, octets: bytes) -> bytes:
        """The truncated HMAC of octets."""
        inner = self._hash(self._inner + octets).digest()
        digest: bytes = self._hash(self._outer + inner).digest()
        return digest[: len(self.zeros)]


class Decryptor:
    """What decrypt() does with one key, in a quarter of the time; some 1 kB each.

    Most of that time goes into a new context for each message. What CFB and CBC do to decrypt a
    block they do to each by itself, before they join it with its neighbour by XOR (NIST SP 800-38A,
    6.2 and 6.3): one context does the first for all messages, one XOR the second.
    """

    __slots__ = ("_blocks", "_pre_iv")

    _pre_iv: int | None

    def __init__(self, priv: PrivProtocol, key: bytes) -> None:
        if priv is PrivProtocol.DES:
            self._pre_iv = int.from_bytes(key[8:16])
            self._blocks = Cipher(TripleDES(key[:8] * 3), ECB()).decryptor().update
        else:
            self._pre_iv = None
            self._blocks = Cipher(AES(key), ECB()).encryptor().update

    def decrypt(self, engine: tuple[int, int], salt: bytes, octets: bytes) -> bytes:
        """The scopedPDU of an encryptedPDU; the arguments are those of the function."""
        length = len(octets)
        if self._pre_iv is not None:
            iv = (self._pre_iv ^ int.from_bytes(salt)).to_bytes(_DES_BLOCK_OCTETS)
            blocks = self._blocks(octets)
            neighbours = (iv + octets)[:length]
        else:
            whole = length + -length % _AES_BLOCK_OCTETS
            blocks = self._blocks((_IV.pack(*engine) + salt + octets)[:whole])[:length]
            neighbours = octets
        plain = int.from_bytes(blocks) ^ int.from_bytes(neighbours)
        return plain.to_bytes(length)


def fits_cipher(priv: PrivProtocol, salt: bytes, length: int) -> bool:
    """Whether so many octets with this salt can be decrypted at all.

    Source: RFC 3414, 8.3.2 (1) and 8.1.1.3; RFC 3826, 3.3.2 (1).
    """
    if len(salt) != SALT_OCTETS:
        return False
    return priv is not PrivProtocol.DES or length % _DES_BLOCK_OCTETS == 0


def _cipher(
    priv: PrivProtocol, key: bytes, engine: tuple[int, int], salt: bytes
) -> Cipher[CFB] | Cipher[CBC]:
    if priv is not PrivProtocol.DES:
        # RFC 3826, 3.1.2.1.
        return Cipher(AES(key), CFB(_IV.pack(*engine) + salt))
    # RFC 3414, 8.1.1.1: half of the key is the pre-IV. Triple DES with one key is DES.
    iv = bytes(a ^ b for a, b in zip(key[8:16], salt, strict=True))
    return Cipher(TripleDES(key[:8] * 3), CBC(iv))


def is_supported(auth: AuthProtocol, priv: PrivProtocol | None) -> bool:
    """Whether this machine lets us: one in FIPS mode has no MD5, or no DES."""
    try:
        mac(auth, b"key", b"octets")
        if priv is not None:
            encrypt(priv, bytes(range(priv.key_octets)), (0, 0), bytes(SALT_OCTETS), b"octets")
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
