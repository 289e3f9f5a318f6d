"""Which datagrams are taken in: not those of sources that are denied, or that send too fast.

received = taken in + refused{source} + refused{rate}

TCP needs none of this: a source that is denied has no connection, one that is too fast is not read
from.
"""

from __future__ import annotations

from muttd.accounts import Account
from muttd.listeners.udp import Datagram
from muttd.sources import Sources

DENIED = "source"
TOO_FAST = "rate"


def admitted(
    batch: list[Datagram], sources: Sources, account: Account, now: float
) -> list[Datagram]:
    """The datagrams whose sources may send them; the others are counted as refused.

    Args:
        batch: As received.
        sources: Who may.
        account: Where the others are counted.
        now: By a clock that never goes back.

    Cost: nothing as long as nobody is denied or limited.
    """
    if not sources.is_limiting:
        return batch
    taken = []
    for datagram in batch:
        policy = sources.policy(datagram.source_ip)
        if not policy.is_allowed:
            account.refused[DENIED] += 1
        elif policy.rate is not None and not sources.takes(datagram.source_ip, policy, now):
            account.refused[TOO_FAST] += 1
        else:
            taken.append(datagram)
    return taken
