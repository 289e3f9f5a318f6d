"""docs/metrics.md is what a daemon shows; no page names a metric that is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from running_daemon import RunningDaemon

from muttd.web.metrics_reference import render_metrics

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "metrics.md"

EXPOSITION = """\
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 7.0
# HELP muttd_b_seconds How long\\nit took.
# TYPE muttd_b_seconds histogram
muttd_b_seconds_bucket{le="+Inf",route="/"} 0.0
muttd_b_seconds_count{route="/"} 0.0
muttd_b_seconds_sum{route="/"} 0.0
# HELP muttd_b_seconds_created How long it took.
# TYPE muttd_b_seconds_created gauge
muttd_b_seconds_created{route="/"} 1.7e+09
# HELP muttd_a_total Things.
# TYPE muttd_a_total counter
muttd_a_total{kind="x",by="y"} 0.0
"""


def test_the_page_has_ours_first_with_type_and_labels() -> None:
    assert render_metrics(EXPOSITION).splitlines()[-3:] == [
        "| `muttd_a_total` | counter | `by`, `kind` | Things. |",
        "| `muttd_b_seconds` | histogram | `route` | How long it took. |",
        "| `process_open_fds` | gauge |  | Number of open file descriptors. |",
    ]


@pytest.mark.acceptance
def test_the_page_is_what_a_daemon_of_several_shows(
    start_daemon: Callable[..., RunningDaemon],
) -> None:
    # Port 1 (tcpmux) is nobody's: the parts for Redis are there, and no Redis.
    daemon = start_daemon(MUTTD_REDIS_URL="redis://127.0.0.1:1")
    with daemon.client() as client:
        shown = client.get("/metrics").text
    assert PAGE.read_text(encoding="utf-8") == render_metrics(shown), "run script/generate"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"`(muttd_\w+)[`{]", page.read_text(encoding="utf-8")))
    assert {name for name in named if name.endswith(("_total", "_seconds", "_bytes"))} <= known
