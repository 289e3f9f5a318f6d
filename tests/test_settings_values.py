"""Each kind of value: what it is parsed from, what is refused, and how it is written again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from muttd.settings_values import (
    Address,
    DatabaseUrl,
    RedisUrl,
    Secret,
    as_text,
    local_zone,
    parse_addresses,
    parse_bool,
    parse_database_url,
    parse_float,
    parse_header_name,
    parse_int,
    parse_key_prefix,
    parse_redis_url,
    parse_secret,
    parse_secrets,
    parse_tls_peers,
    parse_url,
    parse_zone,
)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.0.1:514", (Address("127.0.0.1", 514),)),
        ("[::]:514", (Address("::", 514),)),
        (":514", (Address("::", 514),)),
        ("[fe80::1%eth0]:514", (Address("fe80::1%eth0", 514),)),
        ("localhost:0", (Address("localhost", 0),)),
        ("10.0.0.1:1,[::1]:65535", (Address("10.0.0.1", 1), Address("::1", 65535))),
        ("off", ()),
        ("OFF", ()),
    ],
)
def test_an_address_is_host_and_port(text: str, addresses: tuple[Address, ...]) -> None:
    assert parse_addresses(text) == addresses
    assert parse_addresses(as_text(addresses) or "off") == addresses


@pytest.mark.parametrize(
    "text", ["514", "::1:514", "host", "host:", "host:x", "[::1]", "a:1,", "a b:1"]
)
def test_what_is_no_address_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        parse_addresses(text)


def test_a_port_above_65535_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 65535"):
        parse_addresses("host:65536")


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert str(Address("::", 514)) == "[::]:514"
    assert str(Address("10.0.0.1", 514)) == "10.0.0.1:514"


def test_numbers_are_numbers() -> None:
    assert parse_int("-3") == -3
    assert parse_float("2.5") == 2.5


@pytest.mark.parametrize("text", ["", "x", "1.5", "0x10"])
def test_what_is_no_int_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid int"):
        parse_int(text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid float"):
        parse_float(text)


def test_a_secret_shows_itself_nowhere_but_when_asked() -> None:
    secret = parse_secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr((secret,))]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize("text", ["", "two words", "käse", "line\nbreak", "\x00"])
def test_a_secret_that_could_not_be_sent_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        parse_secret(text)


def test_secrets_are_separated_by_commas() -> None:
    assert parse_secrets("one, two") == (Secret("one"), Secret("two"))


@pytest.mark.parametrize("text", ["http://h/p", "https://h:8443/a?b=c", "https://[::1]:1/"])
def test_a_webhook_url_is_http_or_https(text: str) -> None:
    assert parse_url(text) == text


@pytest.mark.parametrize(
    "text",
    ["ftp://h/", "h/p", "http://", "http://h:x/", "http://[::1/", "http://h/a b", "http://h:0/"],
)
def test_what_is_no_url_of_a_webhook_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        parse_url(text)


@pytest.mark.parametrize("text", ["http://user:pw@h/", "https://key@h/", "http://@h/"])
def test_a_url_with_a_secret_in_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="may not carry"):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "redis://localhost",
        "redis://h:6379/3",
        "rediss://[::1]:6379/",
        "redis://u:p%40w@h/0?x=y",
        "redis://u:p@w@h",
        "redis+sentinel://a:26379,b:26379,[::1]:1/mymaster",
        "rediss+sentinel://u:pw@a,b/mymaster/2",
    ],
)
def test_a_redis_url_names_one_server_or_sentinels(text: str) -> None:
    assert parse_redis_url(text).reveal() == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://h", "not a redis://"),
        ("redis:h", "not a redis://"),
        ("redis://h /1", "not a redis://"),
        ("redis://", "not HOST:PORT"),
        ("redis://h:70000", "not HOST:PORT"),
        ("redis://h:0", "not HOST:PORT"),
        ("redis://::1/0", "not HOST:PORT"),
        ("redis+sentinel://a,,b/s", "not HOST:PORT"),
        ("redis+sentinel://a,b", "the service"),
        ("redis+sentinel://a,b/", "the service"),
        ("redis://a,b/0", "several servers"),
        ("redis://a/zero", "not a number"),
        ("redis+sentinel://a/s/zero", "not a number"),
    ],
)
def test_what_is_no_redis_url_is_refused_saying_what_is_missing(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        parse_redis_url(text)


@pytest.mark.parametrize("text", ["postgresql://u:pw@a:1,b:2/d?sslmode=require", "postgres:///d"])
def test_a_database_url_is_one_of_libpq(text: str) -> None:
    assert parse_database_url(text).reveal() == text


@pytest.mark.parametrize("text", ["mysql://h/d", "host=h dbname=d", "postgresql://h/d\x00"])
def test_what_is_no_database_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a postgresql"):
        parse_database_url(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (RedisUrl("redis://h:1/2"), "redis://h:1/2"),
        (RedisUrl("redis://me:hunter2@h:1/2"), "redis://***@h:1/2"),
        (RedisUrl("rediss://me:hunter2/#?@hunter2@h/2"), "rediss://***@h/2"),
        (DatabaseUrl("postgresql://hunter2@a,b/d?x=y"), "postgresql://***@a,b/d?x=y"),
        (
            DatabaseUrl("postgresql://a/d?password=hunter2&x=y&SSLpassword=hunter2"),
            "postgresql://a/d?password=***&x=y&SSLpassword=***",
        ),
    ],
)
def test_a_url_shows_neither_its_user_nor_its_password(url: DatabaseUrl, shown: str) -> None:
    assert as_text(url) == f"{url}" == shown
    assert repr(url) == f"{type(url).__name__}({shown!r})"


def test_urls_are_equal_by_what_they_hold() -> None:
    assert RedisUrl("redis://a") == RedisUrl("redis://a")
    assert RedisUrl("redis://u:1@a") != RedisUrl("redis://u:2@a")
    assert RedisUrl("redis://a") != DatabaseUrl("redis://a")
    assert len({RedisUrl("redis://a"), RedisUrl("redis://a")}) == 1


def test_a_key_prefix_cannot_move_the_hash_tag() -> None:
    assert parse_key_prefix("mutt:site-1") == "mutt:site-1"
    for text in ("", "a{b", "two words", "x" * 65):
        with pytest.raises(ValueError, match="letters, digits"):
            parse_key_prefix(text)


def test_tls_peers_are_names_addresses_and_fingerprints() -> None:
    print_ = "sha-256:" + ":".join(["ab"] * 32)
    assert parse_tls_peers(f"Relay-1., *.Example.com,2001:DB8:0::1, *, {print_}") == (
        "relay-1",
        "*.example.com",
        "2001:db8::1",
        "*",
        "sha-256:" + ":".join(["AB"] * 32),
    )


@pytest.mark.parametrize("text", ["", "a b", "a.*.example", "*a.example", "sha-512:AB", "h,,g"])
def test_what_is_no_tls_peer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        parse_tls_peers(text)


@pytest.mark.parametrize(("name", "octets"), [("sha-1", 20), ("SHA-256", 32)])
def test_a_fingerprint_is_as_long_as_its_hash(name: str, octets: int) -> None:
    with pytest.raises(ValueError, match=f"{name.lower()} fingerprint has {octets} octets"):
        parse_tls_peers(f"{name}:AB:CD")


def test_yes_and_no_are_true_and_false() -> None:
    assert parse_bool("True") is True
    assert parse_bool("false") is False
    assert (as_text(True), as_text(False)) == ("true", "false")
    with pytest.raises(ValueError, match="true or false"):
        parse_bool("1")


def test_a_header_name_is_a_token() -> None:
    assert parse_header_name("X-Api-Key") == "X-Api-Key"
    with pytest.raises(ValueError, match="not a header field name"):
        parse_header_name("X Api:Key")


@pytest.mark.parametrize("text", ["Mars/Olympus", "../../etc/passwd", "Europe", "\x00"])
def test_a_zone_that_is_not_in_the_database_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a zone"):
        parse_zone(text)


def test_a_zone_has_its_summer_time() -> None:
    berlin = parse_zone("Europe/Berlin")
    assert datetime(2026, 7, 1, tzinfo=berlin).utcoffset() == timedelta(hours=2)
    assert datetime(2026, 1, 1, tzinfo=berlin).utcoffset() == timedelta(hours=1)


def test_the_local_zone_is_that_of_the_machine_and_utc_where_there_is_none(tmp_path: Path) -> None:
    moment = datetime(2026, 7, 1, tzinfo=parse_zone("local"))
    assert moment.utcoffset() == datetime(2026, 7, 1).astimezone().utcoffset()
    nowhere = local_zone(tmp_path / "none")
    assert datetime(2026, 7, 1, tzinfo=nowhere).utcoffset() == timedelta(0)
    (tmp_path / "broken").write_text("no zone")
    assert datetime(2026, 7, 1, tzinfo=local_zone(tmp_path / "broken")).utcoffset() == timedelta(0)
    assert as_text(parse_zone("Local")) == as_text(nowhere) == "local"


def test_a_value_is_written_as_it_would_be_set() -> None:
    assert as_text(None) == ""
    assert as_text(30.0) == "30"
    assert as_text(0.25) == "0.25"
    assert as_text(16_777_216) == "16777216"
    assert as_text((Secret("a"), Secret("b"))) == "Secret(...),Secret(...)"
    assert as_text((Secret("a"), Secret("b")), reveal=True) == "a,b"
