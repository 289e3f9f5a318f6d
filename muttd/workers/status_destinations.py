"""Of the status document: what each destination does, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from muttd.queue.breaker import BreakerView
from muttd.workers.dispatch import Dispatch
from muttd.workers.forwarder import Forwarder

_COUNTS = ("delivered", "retried", "dead")


def forwarder_summary(dispatch: Dispatch) -> dict[str, Any]:
    """The default destination, or that there is none."""
    name = dispatch.router.routes.default
    if name is None:
        nothing = dict.fromkeys(_COUNTS, 0)
        return {"destination": None, "state": "unrouted", **nothing, "last_error": None}
    return {"destination": name, **_work(dispatch.forwarders.get(name))}


def _work(forwarder: Forwarder | None) -> dict[str, Any]:
    if forwarder is None:
        # Not opened yet, or any more.
        return {"state": "idle", **dict.fromkeys(_COUNTS, 0), "last_error": None}
    return {
        "state": forwarder.state,
        **forwarder.tally(),
        "last_error": forwarder.last_error,
    }


def destinations(
    dispatch: Dispatch, depths: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every destination, the default one first.

    Args:
        dispatch: Knows them.
        depths: What waits in the stream of each.
    """
    rows = []
    for name in dispatch.names:
        forwarder = dispatch.forwarders.get(name)
        view = BreakerView() if forwarder is None else forwarder.breaker
        rows.append(
            {
                "name": name,
                "is_default": name == dispatch.router.routes.default,
                **_work(forwarder),
                "breaker": {
                    "state": view.state,
                    "failures": view.failures,
                    "probe_in_s": round(view.left_s, 1),
                },
                "waiting": depths[name]["items"],
                "oldest_age_s": depths[name]["oldest_age_s"],
            }
        )
    return rows


def total_depth(depths: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What waits for all destinations together."""
    known = [each for each in depths if each["items"] is not None]
    if not known:
        return {"items": 0, "pending_items": 0, "oldest_age_s": 0.0}
    return {
        "items": sum(each["items"] for each in known),
        "pending_items": sum(each["pending_items"] for each in known),
        "oldest_age_s": max(each["oldest_age_s"] for each in known),
    }


def destination_warnings(dispatch: Dispatch, *, alerts_raised: int) -> Iterator[str]:
    """What an operator should look at."""
    routes = dispatch.router.routes
    if routes.default is None and alerts_raised:
        yield "alerts are raised and go nowhere: MUTTD_MOOG_WEBHOOK_URL is not set"
    for name, forwarder in sorted(dispatch.forwarders.items()):
        error, view = forwarder.last_error, forwarder.breaker
        if forwarder.state == "held":
            yield f"alerts wait: the webhook {name} does not accept our key or URL: {error}"
        elif forwarder.state == "open":
            yield (
                f"alerts wait: the webhook {name} failed {view.failures} times in a row, the next"
                f" try is in {view.left_s:.0f} s: {error}"
            )
        elif forwarder.state == "retrying":
            yield f"alerts wait: the webhook {name} fails: {error}"
    for name in sorted(dispatch.router.unknown):
        yield f"rules send alerts to {name!r}, which is not configured; they go where they may"
    for name, items in sorted(dispatch.orphans.items()):
        yield f"{items} alerts wait for {name}, which is not configured; they are routed anew soon"
