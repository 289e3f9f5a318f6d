"""Keys, digests and ciphers of USM against the numbers that the standards print."""

from __future__ import annotations

import hmac

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from muttd.protocol import usm_crypto
from muttd.protocol.usm_crypto import (
    Authenticator,
    AuthProtocol,
    Decryptor,
    PrivProtocol,
    decrypt,
    encrypt,
    fits_cipher,
    is_costly,
    is_supported,
    localised,
    localised_priv,
    mac,
    stretched,
)

# RFC 3414, A.3: the passphrase is maplesyrup, the engine ID 00 .. 00 02.
ENGINE_ID = bytes.fromhex("000000000000000000000002")
MD5_KUL = "526f5eed9fcce26f8964c2930787d82b"
SHA_KUL = "6695febc9288e36282235fc7151f128497b38f3f"
# RFC 2202 and RFC 4231: the key is Jefe.
QUESTION = b"what do ya want for nothing?"
# NIST SP 800-38A, F.3.13 to F.3.18: CFB128.
CFB_PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(
    ("auth", "ku", "kul"),
    [
        (AuthProtocol.MD5, "9faf3283884e92834ebc9847d8edd963", MD5_KUL),
        (AuthProtocol.SHA, "9fb5cc0381497b3793528939ff788d5d79145211", SHA_KUL),
    ],
)
def test_a_passphrase_becomes_the_key_of_rfc_3414(auth: AuthProtocol, ku: str, kul: str) -> None:
    key = stretched(auth, b"maplesyrup")
    assert key.hex() == ku
    assert localised(auth, key, ENGINE_ID).hex() == kul


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        (AuthProtocol.MD5, MD5_KUL + "79eff44a90650ee0a3a40abfac5acc12"),
        (AuthProtocol.SHA, SHA_KUL + "9b8b6d78936ba6e7d19dfd9cd2d5065547743fb5"),
    ],
)
def test_a_short_key_is_extended_as_the_reeder_draft_prints_it(
    auth: AuthProtocol, key: str
) -> None:
    ku = stretched(auth, b"maplesyrup")
    for priv in (PrivProtocol.AES_192_C, PrivProtocol.AES_256_C):
        derived = localised_priv(auth, priv, ku, ENGINE_ID)
        assert derived == bytes.fromhex(key)[: priv.key_octets]


def test_a_short_key_is_extended_with_its_own_hash_otherwise() -> None:
    ku = stretched(AuthProtocol.SHA, b"maplesyrup")
    derived = localised_priv(AuthProtocol.SHA, PrivProtocol.AES_256, ku, ENGINE_ID)
    assert derived.hex().startswith(SHA_KUL)
    assert len(derived) == 32
    assert derived != localised_priv(AuthProtocol.SHA, PrivProtocol.AES_256_C, ku, ENGINE_ID)


def test_only_reeders_extension_of_a_short_key_is_costly() -> None:
    costly = {(a, p) for a in AuthProtocol for p in PrivProtocol if is_costly(a, p)}
    short = (AuthProtocol.MD5, AuthProtocol.SHA)
    assert costly == {
        *((auth, PrivProtocol.AES_192_C) for auth in short),
        *((auth, PrivProtocol.AES_256_C) for auth in (*short, AuthProtocol.SHA_224)),
    } - {(AuthProtocol.SHA_224, PrivProtocol.AES_192_C)}


@pytest.mark.parametrize(
    ("auth", "octets", "digest"),
    [
        (AuthProtocol.MD5, 12, "750c783e6ab0b503eaa86e310a5db738"),
        (AuthProtocol.SHA, 12, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            AuthProtocol.SHA_224,
            16,
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
        ),
        (
            AuthProtocol.SHA_256,
            24,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            AuthProtocol.SHA_384,
            32,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            AuthProtocol.SHA_512,
            48,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ],
)
def test_a_mac_is_the_hmac_cut_as_rfc_7860_says(
    auth: AuthProtocol, octets: int, digest: str
) -> None:
    assert mac(auth, b"Jefe", QUESTION) == bytes.fromhex(digest)[:octets]
    authenticator = Authenticator(auth, b"Jefe")
    assert authenticator.mac(QUESTION) == bytes.fromhex(digest)[:octets]
    assert authenticator.zeros == bytes(octets)


@pytest.mark.parametrize(
    ("priv", "key", "encrypted"),
    [
        (
            PrivProtocol.AES,
            "2b7e151628aed2a6abf7158809cf4f3c",
            "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
            "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
        ),
        (
            PrivProtocol.AES_192,
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "cdc80d6fddf18cab34c25909c99a417467ce7f7f81173621961a2b70171d3d7a"
            "2e1e8a1dd59b88b1c8e60fed1efac4c9c05f9f9ca9834fa042ae8fba584b09ff",
        ),
        (
            PrivProtocol.AES_256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
            "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471",
        ),
    ],
)
def test_aes_is_cfb_with_128_bits_over_boots_time_and_salt(
    priv: PrivProtocol, key: str, encrypted: str
) -> None:
    engine, salt = (0x00010203, 0x04050607), bytes(range(8, 16))
    octets = bytes.fromhex(encrypted)
    assert encrypt(priv, bytes.fromhex(key), engine, salt, CFB_PLAIN) == octets
    assert decrypt(priv, bytes.fromhex(key), engine, salt, octets) == CFB_PLAIN
    assert Decryptor(priv, bytes.fromhex(key)).decrypt(engine, salt, octets) == CFB_PLAIN


def test_des_is_cbc_with_half_of_the_key_in_the_iv() -> None:
    """FIPS 81, table C1: the IV is the salt XOR the second half of the key (RFC 3414, 8.1.1.1)."""
    iv, salt = bytes.fromhex("1234567890abcdef"), b"saltsalt"
    key = bytes.fromhex("0123456789abcdef") + bytes(a ^ b for a, b in zip(iv, salt, strict=True))
    octets = bytes.fromhex("e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6")
    plain = b"Now is the time for all "
    assert encrypt(PrivProtocol.DES, key, (1, 2), salt, plain) == octets
    assert decrypt(PrivProtocol.DES, key, (3, 4), salt, octets) == plain
    assert Decryptor(PrivProtocol.DES, key).decrypt((5, 6), salt, octets) == plain


@pytest.mark.parametrize("priv", PrivProtocol)
def test_what_was_encrypted_at_any_length_is_decrypted(priv: PrivProtocol) -> None:
    key, salt = bytes(range(priv.key_octets)), b"saltsalt"
    decryptor = Decryptor(priv, key)
    for length in range(100):
        plain = bytes(range(length))
        octets = encrypt(priv, key, (7, 8), salt, plain)
        assert decryptor.decrypt((7, 8), salt, octets)[:length] == plain
        assert decryptor.decrypt((7, 8), salt, octets) == decrypt(priv, key, (7, 8), salt, octets)


def test_only_des_is_padded() -> None:
    for priv in PrivProtocol:
        encrypted = encrypt(
            priv, bytes(range(priv.key_octets)), (1, 2), b"saltsalt", b"eleven octs"
        )
        assert len(encrypted) == (16 if priv is PrivProtocol.DES else 11)


def test_a_salt_has_eight_octets_and_des_whole_blocks() -> None:
    assert fits_cipher(PrivProtocol.DES, b"saltsalt", 16)
    assert not fits_cipher(PrivProtocol.DES, b"saltsalt", 17)
    assert fits_cipher(PrivProtocol.AES, b"saltsalt", 17)
    assert not fits_cipher(PrivProtocol.AES, b"salt", 17)


def test_every_algorithm_is_supported_here() -> None:
    for auth in AuthProtocol:
        for priv in (None, *PrivProtocol):
            assert is_supported(auth, priv)


def test_what_fips_mode_forbids_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_md5(key: bytes, octets: bytes, digest: str) -> bytes:
        if digest == "md5":
            raise ValueError("disabled for FIPS")
        return hmac.digest(key, octets, digest)

    class NoDigest:
        digest = staticmethod(no_md5)

    def no_des(key: bytes) -> object:
        raise UnsupportedAlgorithm("disabled for FIPS")

    monkeypatch.setattr(usm_crypto, "hmac", NoDigest)
    monkeypatch.setattr(usm_crypto, "TripleDES", no_des)
    assert not is_supported(AuthProtocol.MD5, None)
    assert not is_supported(AuthProtocol.SHA, PrivProtocol.DES)
    assert is_supported(AuthProtocol.SHA, PrivProtocol.AES)
