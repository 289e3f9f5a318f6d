"""Who guesses keys is not listened to for a while.

    peer --wrong key--> remembered for a minute --twenty different ones--> TooManyGuesses, a 429

Bounded: so many peers, so many keys of each, and the oldest are forgotten first.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from muttd.errors import MuttdError

# A person mistypes a key a few times, and never twenty keys in a minute.
GUESSES_PER_WINDOW = 20
GUESS_WINDOW_S = 60.0
# Some 2 KB for a peer that guesses as much as it may: eight megabytes at most.
MAX_GUESSING_PEERS = 4096


class TooManyGuesses(MuttdError):
    """This peer tried too many different wrong keys; no key is looked at for a while.

    Args:
        retry_after_s: When the next key will be looked at.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too many wrong API keys from this address")
        self.retry_after_s = retry_after_s


class Guesses:
    """Different wrong keys per peer in a sliding window.

    The same wrong key again is no new guess: a sender with a stale key must not lock out the
    others behind its address.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # peer -> {digest of a wrong key: when it was tried last}, both oldest first.
        self._peers: OrderedDict[str, OrderedDict[bytes, float]] = OrderedDict()

    def refuse_guesser(self, peer: str) -> None:
        """Raise TooManyGuesses when the peer has none left."""
        wrong = self._peers.get(peer_network(peer))
        if wrong is None:
            return
        now = self._clock()
        while wrong and now - next(iter(wrong.values())) >= GUESS_WINDOW_S:
            wrong.popitem(last=False)
        if len(wrong) >= GUESSES_PER_WINDOW:
            raise TooManyGuesses(GUESS_WINDOW_S - (now - next(iter(wrong.values()))))

    def add(self, peer: str, digest: bytes) -> None:
        """Remember a wrong key."""
        network = peer_network(peer)
        wrong = self._peers.setdefault(network, OrderedDict())
        self._peers.move_to_end(network)
        wrong[digest] = self._clock()
        wrong.move_to_end(digest)
        if len(self._peers) > MAX_GUESSING_PEERS:
            self._peers.popitem(last=False)


# The peers of some seconds, each of whose requests asks.
@lru_cache(maxsize=4096)
def peer_network(peer: str) -> str:
    """Whom an address belongs to, as far as limits go: itself, or the network of an IPv6 host."""
    # One IPv6 host has a whole /64 to guess from (RFC 4291, 2.5.4).
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
