"""Every key and channel of Redis that we use, and what is in it. Nothing else names one.

    {mutt}:ingest            stream   one entry per batch: payload (octets), n (items in it), and
                                      past, MessagePack, when it was a dead letter before
    {mutt}:ingest:sizes      hash     entry id -> n, of each entry in the stream; total -> the sum
    {mutt}:alert             stream   the same for alerts, for the destination moog
    {mutt}:alert:sizes       hash
    {mutt}:alert.NAME        stream   the same for another destination
    {mutt}:alert.NAME:sizes  hash
    {mutt}:destinations      set      names of the others for which there ever were alerts
    {mutt}:letters           hash     letter id -> dead letter, MessagePack
    {mutt}:letters:event     zset     letter id, by the order in which it was buried; events
    {mutt}:letters:alert     zset     the same; alerts
    {mutt}:letters:buried    string   how many letters were ever buried: the next one's place
    {mutt}:rate:NAME         list     microseconds, the passes of the last rate period of one
                                      destination; expires
    {mutt}:breaker:NAME      hash     the circuit breaker of one destination (redis_breaker)
    {mutt}:breaker:NAME:flights  zset attempts under way, by when they count as dead
    {mutt}:peers             zset     instance id of each daemon, by when it was last seen
    {mutt}:peer:ID           string   what that daemon said of itself; expires
    {mutt}:ledger:KIND       hash     key -> value, MessagePack, of one kind (muttd/queue/ledger.py)
    {mutt}:ledger:KIND:order zset     its keys, by their place
    {mutt}:ledger:evicted    hash     kind -> how many keys had to go because it was full
    {mutt}:ledger:watch      string   since when and by whom silence is watched
    {mutt}:news              channel  topics, between daemons
    {mutt}:live              channel  live events, from daemons to the viewers of others

Each stream has one consumer group, GROUP, with one consumer per daemon, and RELEASED, which holds
what daemons have handed back until another takes it. What is in braces is the
hash tag (redis.io, cluster specification): all keys are in one slot, so that one script may touch
any of them. What the queue keeps never expires; Redis must not evict any (maxmemory-policy
noeviction).
"""

from __future__ import annotations

from muttd.queue.contract import Stream, alert_stream
from muttd.queue.ledger import KINDS
from muttd.queue.letters import LetterKind

GROUP = "muttd"
# No daemon's name: theirs have their instance id behind a dot.
RELEASED = "released"
# Fields of an entry.
PAYLOAD, ITEM_COUNT, PAST = b"payload", b"n", b"past"


class RedisKeys:
    """The keys under one prefix.

    Args:
        prefix: MUTTD_REDIS_PREFIX; daemons with the same one work together.
    """

    def __init__(self, prefix: str) -> None:
        self.tag = f"{{{prefix}}}"
        self.letters = f"{self.tag}:letters"
        self.buried = f"{self.tag}:letters:buried"
        self.destinations = f"{self.tag}:destinations"
        self.peers = f"{self.tag}:peers"
        self.watch = f"{self.tag}:ledger:watch"
        self.news_channel = f"{self.tag}:news"
        self.live_channel = f"{self.tag}:live"

    def stream(self, stream: str) -> str:
        """The entries."""
        return f"{self.tag}:{stream}"

    def sizes(self, stream: str) -> str:
        """How many items each entry holds, and all together."""
        return f"{self.tag}:{stream}:sizes"

    def letters_of(self, kind: LetterKind) -> str:
        """The order of the dead letters of one kind."""
        return f"{self.tag}:letters:{kind}"

    def rate(self, name: str) -> str:
        """The passes of one rate limit."""
        return f"{self.tag}:rate:{name}"

    def ledger(self) -> list[str]:
        """The ledger: of each kind its values and its order, then the evictions."""
        tables = [f"{self.tag}:ledger:{kind}" for kind in KINDS]
        return [
            *(key for table in tables for key in (table, f"{table}:order")),
            f"{self.tag}:ledger:evicted",
        ]

    def breaker(self, name: str) -> str:
        """The circuit breaker of one destination."""
        return f"{self.tag}:breaker:{name}"

    def breaker_flights(self, name: str) -> str:
        """The attempts that it has admitted and that are under way."""
        return f"{self.breaker(name)}:flights"

    def peer(self, instance_id: str) -> str:
        """What a daemon said of itself."""
        return f"{self.tag}:peer:{instance_id}"

    def all(self, *destinations: str) -> list[str]:
        """Every key of the queue and of the ledger, with those of further destinations."""
        streams = [*Stream, *map(alert_stream, destinations)]
        return [
            *(key for stream in streams for key in (self.stream(stream), self.sizes(stream))),
            *(self.letters_of(kind) for kind in LetterKind),
            self.letters,
            self.buried,
            *self.ledger(),
            self.watch,
            self.destinations,
        ]


def acl_rule(prefix: str) -> str:
    """What an ACL user needs, as in `ACL SETUSER mutt on >PASSWORD <this>`.

    Keys and channels of the prefix alone; no command that reaches beyond them. INFO tells us the
    version, the role and the replicas; ACL DRYRUN, whether a restart brings everything back.
    """
    return f"~{{{prefix}}}:* &{{{prefix}}}:* +@all -@dangerous +info +acl|dryrun"
