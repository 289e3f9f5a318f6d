"""Two implementations of USM: pysnmp sends traps and informs, we open them and answer.

pysnmp's own receiver reads our Reports and Responses: it discovers our engine ID and time, and
believes an answer only when digest, privacy and window are right.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pysnmp.hlapi.v3arch import asyncio as hlapi  # type: ignore[import-untyped]  # has no types

from muttd.errors import RefusedByUsm
from muttd.protocol.snmp import Pdu
from muttd.protocol.usm import Engine, Opened, Usm
from muttd.protocol.usm_crypto import AuthProtocol, PrivProtocol
from muttd.protocol.usm_sender import PendingKey
from muttd.protocol.usm_users import UsmUser, parse_users

pytestmark = [
    # pysnmp takes its ciphers from where cryptography no longer wants them to be.
    pytest.mark.filterwarnings("ignore:.*has been moved to cryptography.hazmat.decrepit"),
    pytest.mark.filterwarnings("ignore:Single-key TripleDES"),
]

OURS = b"\x80\0\0\0\5ourselves..."
AUTHS = {
    AuthProtocol.MD5: hlapi.USM_AUTH_HMAC96_MD5,
    AuthProtocol.SHA: hlapi.USM_AUTH_HMAC96_SHA,
    AuthProtocol.SHA_224: hlapi.USM_AUTH_HMAC128_SHA224,
    AuthProtocol.SHA_256: hlapi.USM_AUTH_HMAC192_SHA256,
    AuthProtocol.SHA_384: hlapi.USM_AUTH_HMAC256_SHA384,
    AuthProtocol.SHA_512: hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIVS = {
    PrivProtocol.DES: hlapi.USM_PRIV_CBC56_DES,
    PrivProtocol.AES: hlapi.USM_PRIV_CFB128_AES,
    PrivProtocol.AES_192: hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL,
    PrivProtocol.AES_256: hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
    PrivProtocol.AES_192_C: hlapi.USM_PRIV_CFB192_AES,
    PrivProtocol.AES_256_C: hlapi.USM_PRIV_CFB256_AES,
}
LEVELS: list[tuple[AuthProtocol | None, PrivProtocol | None]] = [
    (None, None),
    *((auth, None) for auth in AUTHS),
    *((auth, priv) for auth in AUTHS for priv in PRIVS),
]


def level_id(level: tuple[AuthProtocol | None, PrivProtocol | None]) -> str:
    return "-".join(each.label for each in level if each) or "nothing"


def user_of(auth: AuthProtocol | None, priv: PrivProtocol | None) -> UsmUser:
    words = ["createUser u"]
    words += [auth.label, "authpass12"] if auth else []
    words += [priv.label, "privpass12"] if priv else []
    [user] = parse_users(" ".join(words), source="test")
    return user


class Receiver:
    """A socket of ours, read in a thread: what was opened is kept, what is an inform answered."""

    def __init__(self, user: UsmUser) -> None:
        self.usm = Usm([user], Engine(OURS, 9, time.monotonic() - 5000, 0))
        self.opened: list[Opened] = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    def _receive(self) -> None:
        while True:
            octets, peer = self.sock.recvfrom(65_536)
            if not octets:
                return
            try:
                opened = self.usm.open(octets, now=time.monotonic())
                if isinstance(opened, PendingKey):
                    self.usm.learn(opened, opened.derive())
                    opened = self.usm.open(octets, now=time.monotonic())
            except RefusedByUsm as exc:
                if exc.report is not None:
                    self.sock.sendto(exc.report, peer)
                continue
            assert isinstance(opened, Opened)
            self.opened.append(opened)
            if opened.notification.pdu is Pdu.INFORM:
                answer = self.usm.encode_response(opened, now=time.monotonic())
                self.sock.sendto(answer, peer)

    def close(self) -> None:
        """What was sent before is read before; then the thread ends."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self.sock.close()


LINK_DOWN = hlapi.ObjectIdentifier("1.3.6.1.6.3.1.1.5.3")


async def notify(port: int, level: Any) -> list[str | None]:
    """Send a trap and an inform; what pysnmp says is wrong with each, or with the answer."""
    auth, priv = level
    engine = hlapi.SnmpEngine()
    user = hlapi.UsmUserData(
        "u",
        authKey="authpass12" if auth else None,
        privKey="privpass12" if priv else None,
        authProtocol=AUTHS[auth] if auth else hlapi.USM_AUTH_NONE,
        privProtocol=PRIVS[priv] if priv else hlapi.USM_PRIV_NONE,
    )
    target = await hlapi.UdpTransportTarget.create(("127.0.0.1", port), timeout=10, retries=0)
    varbinds = [
        (hlapi.ObjectIdentifier("1.3.6.1.6.3.1.1.4.1.0"), LINK_DOWN),
        (hlapi.ObjectIdentifier("1.3.6.1.2.1.2.2.1.2.3"), hlapi.OctetString("Gi0/3")),
    ]
    errors = []
    try:
        for kind in ("trap", "inform"):
            error, status, _, _ = await hlapi.send_notification(
                engine, user, target, hlapi.ContextData(), kind, *varbinds
            )
            assert not status
            errors.append(None if error is None else str(error))
    finally:
        engine.close_dispatcher()
    return errors


@pytest.mark.parametrize("level", LEVELS, ids=level_id)
def test_pysnmps_trap_is_opened_and_it_is_content_with_our_answer_to_its_inform(
    level: tuple[AuthProtocol | None, PrivProtocol | None],
) -> None:
    receiver = Receiver(user_of(*level))
    try:
        # In a thread of its own: a browser's loop may be running in this one.
        with ThreadPoolExecutor(max_workers=1) as aside:
            errors = aside.submit(asyncio.run, notify(receiver.port, level)).result()
        assert errors == [None, None]
    finally:
        receiver.close()
    trap, inform = (opened.notification for opened in receiver.opened)
    assert (trap.pdu, inform.pdu) == (Pdu.TRAP_V2, Pdu.INFORM)
    for notification in (trap, inform):
        assert notification.trap_oid == str(LINK_DOWN)
        assert notification.varbinds[2].value == b"Gi0/3"
    assert trap.security is not None
    assert inform.security is not None
    assert trap.security.engine_id != OURS == inform.security.engine_id
    # It asked who we are and, if it authenticates, what time it is here.
    assert receiver.usm.stats["usmStatsUnknownEngineIDs"] == 1
    assert sum(receiver.usm.stats.values()) <= 2
