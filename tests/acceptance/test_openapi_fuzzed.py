"""The daemon against its own document: schemathesis, all phases, on a real socket.

Every answer has a status, a media type and a body that the document promises; nothing is a 5xx;
what the document forbids is refused. That all it allows is taken is not asked for: a pattern's
grammar, or an end that comes before its beginning, is beyond a schema. Who may do what is in
tests/web/test_resource.py: to try wrong keys here would end in 429 for all else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import RunningDaemon, a_rule, eventually

pytestmark = pytest.mark.acceptance

# The fuzzing goes on as long as there is time: some ten thousand requests on an idle machine.
MAX_TIME_S = 30


@pytest.mark.timeout(300)
def test_no_request_gets_an_answer_that_the_document_does_not_promise(
    start_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    daemon = start_daemon()
    # Something to find, so that not every answer is an empty list.
    daemon.post("/api/v2/rules", a_rule())
    daemon.post("/api/v2/teams", {"hostname": "core-*", "team_assignment": "NETO"})
    for message in ("LINK-3-UPDOWN", "nobody's"):
        daemon.post("/ingest", {"message": message, "hostname": "core-1"})
    eventually(daemon.events, lambda events: len(events) == 2)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{daemon.url}/api/openapi.json"),
            *("--header", f"X-API-KEY: {daemon.key()}"),
            *("--phases", "examples,coverage,fuzzing,stateful"),
            *("--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth"),
            *("--max-examples", "5", "--max-time", str(MAX_TIME_S), "--seed", "1"),
            *("--continue-on-failure", "--no-shrink", "--no-color"),
            *("--suppress-health-check", "all", "--generation-database", "none"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:]
    assert "Tested: " in ended.stdout
    assert daemon.get("/api/v2/status")["daemon"]["state"] == "running"
    assert not any("Traceback" in line for line in daemon.log)
