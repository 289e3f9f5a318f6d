"""docs/metrics.md, written from a scrape of a daemon that has every part."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_HEAD = """\
# Metrics

What `GET /metrics` shows, without a key. Every series is there from the start, at zero or at what
is so; labels have values from closed sets, never from the wire, so that nobody can make them grow.
Times are in seconds, sizes in bytes. What to alert on, and what to do then:
[monitoring](monitoring.md), [runbook](runbook.md).

This page is written from what a daemon shows, by `script/generate`.

| name | type | labels | meaning |
|---|---|---|---|
"""
# Prometheus' own: the bounds of a histogram.
_OF_PROMETHEUS = {"le", "quantile"}


def render_metrics(exposition: str) -> str:
    """The page.

    Args:
        exposition: In the text format of Prometheus, 0.0.4.
    """
    families = _whole(text_string_to_metric_families(exposition))
    return _HEAD + "".join(_line(family) for family in families)


def _whole(families: Iterable[Metric]) -> list[Metric]:
    # When a counter began is a family of its own in this format, and says nothing.
    found = [family for family in families if not family.name.endswith("_created")]
    # Ours first: the others are those of every process that Prometheus' library is in.
    return sorted(found, key=lambda each: (not each.name.startswith("muttd_"), each.name))


def _line(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = {label for sample in family.samples for label in sample.labels} - _OF_PROMETHEUS
    shown = ", ".join(f"`{label}`" for label in sorted(labels))
    return f"| `{name}` | {family.type} | {shown} | {' '.join(family.documentation.split())} |\n"
