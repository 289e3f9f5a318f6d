"""The compose stack: up by Docker Compose, an event in at a published port, an alert out."""

from __future__ import annotations

from functools import partial

import pytest
from compose_stack import CAN_RUN, WHY_NOT, compose_stack
from running_daemon import a_rule, eventually

pytestmark = [
    pytest.mark.nightly,
    # A Debian is fetched and three images are built.
    pytest.mark.timeout(1200),
]


def test_an_event_into_the_stack_comes_out_as_an_alert() -> None:
    assert CAN_RUN, WHY_NOT
    with compose_stack() as stack:
        with stack.health_checks():
            stack.compose("up", "--no-build", "--detach")
        for service in ("muttd", "muttd-2"):
            eventually(partial(stack.is_healthy, service))
        stack.api("/api/v2/rules", a_rule())
        eventually(lambda: stack.api("/api/v2/status")["rules"]["active"], lambda n: n == 1)
        texts = {"--udp": "%LINK-3-UPDOWN: by datagram", "--tcp": "%LINK-3-UPDOWN: by stream"}
        for kind, text in texts.items():
            stack.run("logger", "-n", "127.0.0.1", "-P", "514", kind, "--rfc5424", text)
        snmptrap = ("snmptrap", "-v", "2c", "-c", "public", "127.0.0.1:162", "")
        stack.run(*snmptrap, "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.3", "i", "3")
        eventually(lambda: stack.api("/api/v2/events")["pagination"]["total"], lambda n: n == 3)
        eventually(
            lambda: sorted(each["description"] for each in list(stack.alerts)),
            lambda found: found == sorted(texts.values()),
        )
        # Both daemons are one system, on this Redis and this PostgreSQL.
        eventually(
            lambda: [each["name"] for each in stack.api("/api/v2/status")["peers"]],
            lambda names: names == ["muttd-1", "muttd-2"],
        )
        assert stack.podman("exec", "muttd-muttd-1", "id", "-u").strip() == "10514"
