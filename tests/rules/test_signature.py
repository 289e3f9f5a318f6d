"""One fault, one signature; two faults, two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_samples import an_event

from muttd.decision import Decision, Environment, Handling
from muttd.event import Event, Transport, Varbind
from muttd.rules.signature import MAX_SIGNATURE_OCTETS, class_of, names_of, signature_of

DECISION = Decision(environment=Environment.PROD, rule_id=4, handling=Handling.PAGE_ONLY)


def signature(message: str = "", **fields: object) -> str:
    return signature_of(an_event(message, **fields), DECISION)


def varbind(name: str, value: str, oid: str = "1.3.6.1.2.1.2.2.1.1.3") -> Varbind:
    return Varbind(name, oid, "OCTET STRING", value)


def a_trap(*varbinds: Varbind, trap_oid: str = "1.3.6.1.6.3.1.1.5.3") -> str:
    return signature("x", trap_oid=trap_oid, varbinds=list(varbinds))


def test_a_signature_is_host_class_template_and_instance() -> None:
    made = signature("Interface Gi0/1, changed state to down", app_name="%LINK-3-UPDOWN")
    assert made == (
        "sw1.example.net::LINK::%LINK-3-UPDOWN: Interface <if>, changed state to down::Gi0/1"
    )


def test_a_notification_has_its_oid_and_its_row() -> None:
    made = a_trap(
        varbind("sysUpTime.0", "12345", oid="1.3.6.1.2.1.1.3.0"),
        varbind("snmpTrapOID.0", "linkDown", oid="1.3.6.1.6.3.1.1.4.1.0"),
        varbind("IF-MIB::ifIndex.3", "3"),
        varbind("ifDescr.3", "Gi0/3"),
        varbind("ifInErrors.3", "991"),
    )
    assert made == "sw1.example.net::snmp::1.3.6.1.6.3.1.1.5.3::3,Gi0/3"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Interface Gi0/1 down", "Interface Gi0/2 down"),
        ("interface Vlan10 down", "interface Vlan11 down"),
        ("port 1/0/14 down", "port 1/0/15 down"),
        ("fan 1 failed", "fan 2 failed"),
        ("Fan tray #1 failed", "Fan tray #2 failed"),
        ("power supply 1 lost", "power supply 2 lost"),
        ("BGP neighbor 10.0.0.1 down", "BGP neighbor 10.0.0.2 down"),
        ("/var is full", "/home is full"),
        ("unit 'nginx' failed", "unit 'mysql' failed"),
        ('device "disk 1" failed', 'device "disk 2" failed'),
        ("nginx failed", "mysql failed"),
        ("eth0 down", "eth1 down"),
        ("sda1 failing", "sdb1 failing"),
        ("duplicate aa:bb:cc:dd:ee:01", "duplicate aa:bb:cc:dd:ee:02"),
        ("ORA-00600", "ORA-00601"),
        ("Gi0/1 down", "Gi0/1 up"),
    ],
)
def test_two_faults_of_one_host_have_two_signatures(one: str, other: str) -> None:
    assert signature(one) != signature(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("process 11 died", "process 12 died"),
        ("Gi0/1 down at 03:04:05", "Gi0/1 down at 03:04:06"),
        (
            "Failed password for invalid user a from 10.0.0.1 port 1 ssh2",
            "Failed password for invalid user b from 10.0.0.2 port 2 ssh2",
        ),
        ("auth failure rhost=10.0.0.1", "auth failure rhost=10.0.0.2"),
        ("denied 10.0.0.1:443", "denied 10.0.0.2:80"),
        (
            "Deny tcp src outside:10.0.0.1/53 dst inside:10.1.1.1/443",
            "Deny tcp src outside:10.0.0.2/53 dst inside:10.1.1.2/443",
        ),
        ("denied [2001:db8::1]:443", "denied [2001:db8::2]:80"),
        ("session file '/tmp/s_12345' lost", "session file '/tmp/s_54321' lost"),
        (
            "transaction 550e8400-e29b-41d4-a716-446655440000",
            "transaction 00000000-e29b-41d4-a716-446655440000",
        ),
        ("free 123 of 500", "free 100 of 500"),
    ],
)
def test_two_reports_of_one_fault_have_one_signature(one: str, other: str) -> None:
    assert signature(one) == signature(other)


def test_the_process_that_reports_does_not_matter() -> None:
    assert signature("x", app_name="sshd", procid="1") == signature(
        "x", app_name="sshd", procid="2"
    )


def test_two_rows_of_a_notification_have_two_signatures() -> None:
    assert a_trap(varbind("cpuState.1", "high")) != a_trap(varbind("cpuState.2", "high"))
    assert a_trap(varbind("bgpPeerState.10.0.0.1", "1")) != a_trap(
        varbind("bgpPeerState.10.0.0.2", "1")
    )


def test_a_counter_in_a_notification_does_not_matter() -> None:
    assert a_trap(varbind("load.1", "97")) == a_trap(varbind("load.1", "98"))
    assert a_trap(varbind("load.0", "97")) == a_trap(varbind("load.0", "-98.5"))


def test_an_oid_that_no_mib_names_shows_its_last_arc() -> None:
    one = varbind("1.3.6.1.4.1.9.9.1.7", "x", oid="1.3.6.1.4.1.9.9.1.7")
    other = varbind("1.3.6.1.4.1.9.9.1.8", "x", oid="1.3.6.1.4.1.9.9.1.8")
    assert a_trap(one).endswith("::7")
    assert a_trap(one) != a_trap(other)


def test_scalars_are_told_apart_by_what_they_say() -> None:
    assert a_trap(varbind("alertText.0", "fan 1 failed")) != a_trap(
        varbind("alertText.0", "fan 2 failed")
    )
    assert a_trap(varbind("alertText.0", "fan 1 failed")) != a_trap(
        varbind("alertText.0", "psu 1 failed")
    )
    assert a_trap(varbind("alertText.0", "exit 11")) == a_trap(varbind("alertText.0", "exit 12"))


def test_two_notifications_have_two_signatures() -> None:
    assert a_trap(trap_oid="1.3.6.1.6.3.1.1.5.3") != a_trap(trap_oid="1.3.6.1.6.3.1.1.5.4")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"app_name": "%LINK-3-UPDOWN"}, "LINK"),
        ({"app_name": "%SYS-SP-3-LOGGER"}, "SYS"),
        ({"app_name": "LINK-3-UPDOWN"}, "LINK"),
        ({"message": "%ASA-4-106023: Deny"}, "ASA"),
        ({"app_name": "sshd"}, "sshd"),
        ({"transport": Transport.HTTP}, "http"),
        ({"trap_oid": "1.3.6", "transport": Transport.HTTP, "app_name": "x"}, "snmp"),
    ],
)
def test_the_class_is_the_kind_of_source(fields: dict[str, object], kind: str) -> None:
    message = str(fields.pop("message", "x"))
    assert class_of(an_event(message, **fields)) == kind


def test_the_kind_of_message_in_the_header_is_part_of_what_is_told() -> None:
    data = {"junos@2636": [("username", "bob")]}
    one = signature("", app_name="mgd", procid="3046", msgid="UI_LOGIN", structured_data=data)
    other = signature("", app_name="mgd", procid="3046", msgid="UI_LOGOUT", structured_data=data)
    assert one == 'sw1.example.net::mgd::UI_LOGIN: [junos@<num> username="<str>"]::bob'
    assert one != other


def test_what_the_message_says_itself_is_not_said_twice() -> None:
    made = signature("%LINK-3-UPDOWN: x", app_name="LINK-3-UPDOWN", msgid="UPDOWN")
    assert made == "sw1.example.net::LINK::%LINK-3-UPDOWN: x::"


def test_the_host_is_compared_without_regard_to_case() -> None:
    assert signature("x", hostname="SW1") == signature("x", hostname="sw1")


def test_an_ipv6_host_cannot_be_taken_for_host_and_class() -> None:
    assert signature("x", hostname="2001:db8::1").startswith("[2001:db8::1]::syslog-udp::x")
    assert signature("x::y", app_name="a") == "sw1.example.net::a::x:y::"


def test_an_event_without_any_text_is_known_by_its_rule() -> None:
    assert signature("") == "sw1.example.net::syslog-udp::rule 4::"


def test_two_long_signatures_never_collapse() -> None:
    one = signature("é" * 2000 + " fan 1")
    other = signature("é" * 2000 + " fan 2")
    assert one != other
    assert len(one.encode()) <= MAX_SIGNATURE_OCTETS
    assert one == signature("é" * 2000 + " fan 1")


@given(
    st.text(max_size=900),
    st.none() | st.text(max_size=50),
    st.text(max_size=300),
    st.none() | st.text(max_size=30),
    st.lists(st.builds(Varbind, st.text(), st.text(), st.text(), st.text()), max_size=5),
)
def test_any_event_has_a_signature_of_at_most_767_octets(
    message: str,
    app_name: str | None,
    hostname: str,
    trap_oid: str | None,
    varbinds: list[Varbind],
) -> None:
    event: Event = an_event(
        message, app_name=app_name, hostname=hostname, trap_oid=trap_oid, varbinds=varbinds
    )
    made = signature_of(event, DECISION)
    assert 0 < len(made.encode()) <= MAX_SIGNATURE_OCTETS
    assert made == signature_of(event, DECISION)


def test_a_problem_and_its_end_name_the_same() -> None:
    down = an_event("%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to down")
    up = an_event("%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to up")
    assert names_of(down) == names_of(up) == ["GigabitEthernet0/1"]
    assert names_of(an_event("power supply failed")) == []
    rows = [Varbind("ifIndex.3", "1.3.6.1.2.1.2.2.1.1.3", "INTEGER", "3")]
    trap = an_event("", trap_oid="1.3.6.1.6.3.1.1.5.3", varbinds=rows)
    assert names_of(trap) == names_of(an_event("x", trap_oid="1.2", varbinds=rows)) == ["3"]
    words = [Varbind("alarmText.0", "1.3.6.1.4.1.1.0", "OCTET STRING", 'door "A" open')]
    closed = [Varbind("alarmText.0", "1.3.6.1.4.1.1.0", "OCTET STRING", 'door "A" closed')]
    opened = an_event("", trap_oid="1.2", varbinds=words)
    assert names_of(opened) == names_of(an_event("", trap_oid="1.3", varbinds=closed)) == ["A"]


def test_the_account_of_a_windows_event_is_what_it_is_about_and_its_session_is_not() -> None:
    event = "An account failed to log on. Account Name:\t\t{} Logon ID:\t\t{}"
    assert list(names_of(an_event("Account Name:\t\talice"))) == ["alice"]
    assert list(names_of(an_event("Account Name:\t\t-"))) == []
    assert list(names_of(an_event("Logon ID:\t\t0x3E7"))) == []
    assert signature(event.format("alice\t", "0x1")) != signature(event.format("bob\t", "0x1"))
