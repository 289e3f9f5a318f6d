"""muttd healthcheck: is the daemon of these settings alive?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from running_daemon import RunningDaemon
from servers.certificates import TlsParty

from muttd.cli import main


@pytest.mark.acceptance
def test_a_living_daemon_is_healthy(
    start_daemon: Callable[..., RunningDaemon], capsys: pytest.CaptureFixture[str]
) -> None:
    port = start_daemon().ports["http"]
    assert main(["healthcheck"], {"MUTTD_HTTP": f"[::]:{port}"}) == 0
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.acceptance
def test_over_tls_the_certificate_of_the_settings_is_trusted_and_no_other(
    start_daemon: Callable[..., RunningDaemon],
    tls_party: TlsParty,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def tls(pair_cert: object, pair_key: object) -> dict[str, str]:
        return {"MUTTD_HTTP_TLS_CERT": str(pair_cert), "MUTTD_HTTP_TLS_KEY": str(pair_key)}

    ours = tls(tls_party.server.cert, tls_party.server.key)
    theirs = tls(tls_party.stranger.cert, tls_party.stranger.key)
    port = start_daemon(**ours).ports["http"]
    assert main(["healthcheck"], {"MUTTD_HTTP": f"127.0.0.1:{port}", **ours}) == 0
    assert main(["healthcheck"], {"MUTTD_HTTP": f"127.0.0.1:{port}", **theirs}) == 69
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().err


def test_nobody_there_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck"], {"MUTTD_HTTP": "[::1]:1"}) == 69
    assert "http://[::1]:1/healthz" in capsys.readouterr().err


def test_without_http_nobody_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck"], {"MUTTD_HTTP": "off"}) == 78
    assert "MUTTD_HTTP" in capsys.readouterr().err
