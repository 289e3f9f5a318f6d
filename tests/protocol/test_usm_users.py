"""createUser lines."""

from __future__ import annotations

import pytest

from muttd.errors import ConfigError
from muttd.protocol import usm_users
from muttd.protocol.usm_crypto import AuthProtocol, PrivProtocol, stretched
from muttd.protocol.usm_users import UsmUser, parse_users


def users_of(text: str) -> list[UsmUser]:
    return parse_users(text, source="MUTTD_SNMP_USERS_FILE: users.conf")


def mistakes_of(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        users_of(text)
    return caught.value.mistakes


def test_a_user_has_the_level_of_his_passphrases() -> None:
    text = """
# a comment
createUser nobody
  CREATEUSER auth SHA-256 authpass12

createUser both sha authpass12 aes privpass12
createUser one SHA authpass12 AES
"""
    nobody, auth, both, one = users_of(text)
    assert (nobody.level, auth.level, both.level, one.level) == (0, 1, 3, 3)
    assert (nobody.name, nobody.engine_id, nobody.auth) == (b"nobody", None, None)
    assert (auth.auth, auth.priv) == (AuthProtocol.SHA_256, None)
    assert (both.auth, both.priv) == (AuthProtocol.SHA, PrivProtocol.AES)
    assert both.auth_key == stretched(AuthProtocol.SHA, b"authpass12")
    assert both.priv_key == stretched(AuthProtocol.SHA, b"privpass12")
    assert one.priv_key == one.auth_key == both.auth_key


@pytest.mark.parametrize(
    ("word", "auth"),
    [
        *(("MD5", AuthProtocol.MD5), ("SHA1", AuthProtocol.SHA), ("sha-1", AuthProtocol.SHA)),
        *(("SHA224", AuthProtocol.SHA_224), ("SHA-384", AuthProtocol.SHA_384)),
        ("Sha512", AuthProtocol.SHA_512),
    ],
)
def test_an_authentication_is_known_by_its_usual_spellings(word: str, auth: AuthProtocol) -> None:
    assert users_of(f"createUser u {word} authpass12")[0].auth is auth


@pytest.mark.parametrize(
    ("word", "priv"),
    [
        *(("DES", PrivProtocol.DES), ("AES128", PrivProtocol.AES), ("AES-128", PrivProtocol.AES)),
        *(("aes192", PrivProtocol.AES_192), ("AES-256", PrivProtocol.AES_256)),
        *(("AES-192-C", PrivProtocol.AES_192_C), ("AES256C", PrivProtocol.AES_256_C)),
    ],
)
def test_a_privacy_is_known_by_its_usual_spellings(word: str, priv: PrivProtocol) -> None:
    assert users_of(f"createUser u MD5 authpass12 {word} privpass12")[0].priv is priv


def test_a_user_may_be_bound_to_one_engine() -> None:
    [user] = users_of("createUser -e 0x8000000001020304 u MD5 authpass12")
    assert user.engine_id == bytes.fromhex("8000000001020304")
    names = users_of("createUser u\ncreateUser -e 8000000001020304 u\ncreateUser -e 8000000001 u")
    assert len(names) == 3


@pytest.mark.parametrize(
    ("word", "passphrase"),
    [
        ('"with a space"', b"with a space"),
        ("'with \"quotes\"'", b'with "quotes"'),
        (r'"with a \" in it"', b'with a " in it'),
        (r"with\ an\ escape", b"with an escape"),
        ("with#a-hash", b"with#a-hash"),
        ("it's-a-quote", b"it's-a-quote"),
        ("schlüssel", "schlüssel".encode()),
    ],
)
def test_a_passphrase_is_quoted_as_in_snmptrapd_conf(word: str, passphrase: bytes) -> None:
    [user] = users_of(f"createUser u SHA {word}")
    assert user.auth_key == stretched(AuthProtocol.SHA, passphrase)


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = """createUser good SHA authpass12
authUser log good
createUser
createUser -x
createUser -e
createUser -e 80zz u
createUser -e 80000000 u
createUser u ROT13 s3cret-pass
createUser u SHA
createUser u SHA s3cret
createUser u SHA s3cret-pass ROT13 s3cret-pass
createUser u SHA s3cret-pass AES s3cret
createUser u SHA s3cret-pass AES s3cret-pass s3cret-pass
createUser u SHA "s3cret-pass
createUser u SHA -m 0x00112233445566778899
createUser good MD5 s3cret-pass
createUser nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
createUser ""
"""
    mistakes = mistakes_of(text)
    lines = [mistake.partition(": users.conf, line ")[2].partition(": ") for mistake in mistakes]
    assert [int(number) for number, _, _ in lines] == list(range(2, 19))
    usage = "createUser [-e ENGINEID] NAME [AUTH PASSPHRASE [PRIV [PASSPHRASE]]]"
    assert [what for _, _, what in lines] == [
        "not a createUser line",
        usage,
        usage,
        "-e takes an engine ID in hex, such as 0x8000000001020304",
        "-e takes an engine ID in hex, such as 0x8000000001020304",
        "an engine ID has 5 to 32 octets (RFC 3411, 5)",
        "the authentication is none of MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512",
        "the passphrase of the authentication is missing",
        "the passphrase of the authentication is shorter than 8 (RFC 3414, 11.2)",
        "the privacy is none of DES, AES, AES-192, AES-256, AES-192-C, AES-256-C",
        "the passphrase of the privacy is shorter than 8 (RFC 3414, 11.2)",
        "too many words; a passphrase with spaces stands in quotes",
        "a quote is not closed",
        "keys (-m, -l) are not taken; write the passphrase",
        "this user is in line 1 already",
        "a user name has 1 to 32 octets (RFC 3414, 2.4)",
        "a user name has 1 to 32 octets (RFC 3414, 2.4)",
    ]
    assert "s3cret" not in "".join(mistakes)


def test_an_algorithm_that_the_machine_forbids_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usm_users, "is_supported", lambda auth, priv: auth is not AuthProtocol.MD5)
    assert "FIPS" in mistakes_of("createUser u MD5 authpass12")[0]
    assert users_of("createUser u SHA authpass12")


def test_no_key_is_in_a_repr() -> None:
    [user] = users_of("createUser u SHA authpass12 AES privpass12")
    assert user.auth_key.hex() not in repr(user)
    assert "key" not in repr(user)
