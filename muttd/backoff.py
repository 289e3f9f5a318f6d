"""Exponential backoff with full jitter: how long to wait before the n-th repetition."""

from __future__ import annotations

import random


def backoff_s(failures: int, *, base_s: float, cap_s: float) -> float:
    """Seconds to wait after that many failures in a row: uniform in (0, min(cap, base * 2^n)].

    Full jitter, because many senders that failed together must not come back together.
    """
    # The exponent is bounded so that a long outage does not overflow a float.
    ceiling: float = min(cap_s, base_s * 2 ** min(failures - 1, 32))
    return ceiling * (1.0 - random.random())
