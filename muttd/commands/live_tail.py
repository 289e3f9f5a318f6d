"""The client of the live websocket: frames in, events with their decisions out.

    hello, events, decisions, stats --> Held --> show(event), remark(text)

An event is shown with what the rules made of it: one that comes before its decision is held until
the decision follows, or for HOLD_S. A lost connection is made again and the gap filled from the
store, so that a restart of the daemon leaves no hole.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urlsplit

import trio
import trio_websocket

from muttd.commands.client import PAGE_ITEMS, Client, unreachable
from muttd.commands.outcome import EX_DATAERR, EX_NOPERM, CommandFailed
from muttd.settings_values import Secret

LIVE_PATH = "/api/v2/live"
# Decisions follow within milliseconds; with the store away they wait, and a tail must not.
HOLD_S = 2.0
# The server sends stats once a second: after this long it is gone, whatever TCP believes.
SILENCE_S = 15.0
CONNECT_S = 10.0
FIRST_RETRY_S = 0.5
RETRY_CAP_S = 10.0
# A gap is filled with this much; more would scroll by unread.
MAX_GAP_PAGES = 5
# A frame holds some hundreds of events of some 16 KiB each, as JSON.
MAX_FRAME_OCTETS = 16 * 1024 * 1024

_LOST = (
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
    trio_websocket.ConnectionClosed,
    trio_websocket.HandshakeError,
)

Show = Callable[[Mapping[str, Any]], None]
Remark = Callable[[str], None]


class Held:
    """Events that wait for their decision, in the order they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[dict[str, Any], float]] = {}

    def add(self, events: Iterable[dict[str, Any]], *, now: float) -> list[dict[str, Any]]:
        """Take events in; return those that are decided already."""
        ready = []
        for event in events:
            if event.pop("pending", False):
                self._waiting[event["event_id"]] = (event, now + HOLD_S)
            else:
                ready.append(event)
        return ready

    def decide(self, decisions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Join decisions to their events; one whose event was shown already means nothing."""
        ready = []
        for decision in decisions:
            event, _ = self._waiting.pop(decision["event_id"], ({}, 0.0))
            if event:
                ready.append({**event, **decision})
        return ready

    def overdue(self, *, now: float) -> list[dict[str, Any]]:
        """Events whose decision is too late; they are shown without one."""
        late = [event for event, deadline in self._waiting.values() if deadline <= now]
        for event in late:
            del self._waiting[event["event_id"]]
        return late


@dataclass(frozen=True, slots=True)
class Server:
    """A daemon and how to be let in.

    Attributes:
        url: As base_url() returned it.
        key: A viewer's, or better.
        trust: As find_trust() returned it.
    """

    url: str
    key: Secret
    trust: ssl.SSLContext | None = None


class Tail:
    """Follows one daemon.

    Args:
        server: Where, and how to be let in.
        wanted: The filter, in the words of the API.
        show: Called with each event.
        remark: Called with what the person should know besides.
    """

    def __init__(
        self, server: Server, wanted: Mapping[str, Any], *, show: Show, remark: Remark
    ) -> None:
        self._server = server
        self._url = server.url
        self._wanted = wanted
        self._show_one = show
        self._remark = remark
        self._held = Held()
        self._greeted = False
        self._is_live = False
        self._last_id: str | None = None
        self._sampled = 1
        self._missed = 0

    async def follow(self) -> None:
        """Connect, and connect again whenever the connection is lost.

        Raises:
            CommandFailed: The first connection failed, or the key may not.
        """
        wait_s = 0.0
        while True:
            try:
                await self._follow_once()
            except _LOST as exc:
                self._give_up_if_hopeless(exc)
                self._show(self._held.overdue(now=float("inf")))
                if self._is_live:
                    self._remark(f"connection lost: {_why(exc)}; connecting again")
                    self._is_live = False
                    wait_s = 0.0
            wait_s = min(RETRY_CAP_S, wait_s * 2 or FIRST_RETRY_S)
            await trio.sleep(wait_s)

    async def _follow_once(self) -> None:
        url = urlsplit(self._url)
        with trio.fail_after(CONNECT_S):
            stream = await _open_stream(url, self._server.trust)
        # Closed here: trio-websocket leaves it open when the server is the first to close.
        async with stream:
            try:
                async with trio.open_nursery() as nursery:
                    with trio.fail_after(CONNECT_S):
                        socket = await trio_websocket.wrap_client_stream(
                            nursery,
                            stream,
                            url.netloc,
                            url.path + LIVE_PATH,
                            extra_headers=[(b"X-API-KEY", self._server.key.reveal().encode())],
                            max_message_size=MAX_FRAME_OCTETS,
                        )
                    await self._show_frames(socket)
            except BaseExceptionGroup as group:
                raise sole(group) from None

    def _give_up_if_hopeless(self, exc: BaseException) -> None:
        status = getattr(exc, "status_code", None)
        if status in (401, 403):
            raise CommandFailed(f"{self._url} refuses this API key", EX_NOPERM) from exc
        if not self._greeted:
            raise unreachable(self._url, exc, _why(exc)) from exc

    async def _show_frames(self, socket: trio_websocket.WebSocketConnection) -> None:
        await socket.send_message(json.dumps({"type": "filter", "filter": self._wanted}))
        while True:
            with trio.fail_after(SILENCE_S):
                frame = json.loads(await socket.get_message())
            if frame["type"] == "hello" and self._greeted:
                await self._fill_gap()
            self._take(frame, now=trio.current_time())

    def _take(self, frame: dict[str, Any], *, now: float) -> None:
        match frame["type"]:
            case "hello":
                self._greeted = self._is_live = True
            case "events":
                self._note_sampling(frame["sampled"])
                self._show(self._held.add(frame["events"], now=now))
            case "decisions":
                self._show(self._held.decide(frame["decisions"]))
            case "stats":
                self._note_missed(frame["missed"])
                self._show(self._held.overdue(now=now))
            case "error":
                raise CommandFailed(frame["message"], EX_DATAERR)

    def _show(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            # Ids sort by time of receipt; decisions of two batches may come out of order.
            self._last_id = max(self._last_id or "", event["event_id"])
            self._show_one(event)

    def _note_sampling(self, sampled: int) -> None:
        if sampled != self._sampled:
            self._remark("showing all" if sampled == 1 else f"flood: showing 1 in {sampled}")
        self._sampled = sampled

    def _note_missed(self, missed: int) -> None:
        if missed > self._missed:
            self._remark(
                f"{missed - self._missed} events were not shown: this terminal is too slow"
            )
        self._missed = missed

    async def _fill_gap(self) -> None:
        """Show what was stored while nobody was connected."""
        self._missed = 0
        if self._last_id is None:
            return
        after = partial(self._stored_after, self._last_id)
        try:
            events, total = await trio.to_thread.run_sync(after)
        except CommandFailed as exc:
            # A daemon that has just started may not answer yet; what comes now is not lost by it.
            self._remark(f"what came meanwhile is not shown: {exc}")
            return
        if total > len(events):
            self._remark(f"{total - len(events)} older events of the gap are not shown")
        self._show(reversed(events))

    def _stored_after(self, event_id: str) -> tuple[list[dict[str, Any]], int]:
        """Newest first, and how many there are."""
        params = {name: _as_parameter(value) for name, value in self._wanted.items()}
        params |= {"after": event_id, "limit": PAGE_ITEMS}
        events: list[dict[str, Any]] = []
        with Client(self._url, self._server.key, trust=self._server.trust) as client:
            for _ in range(MAX_GAP_PAGES):
                answer = client.call("GET", "/api/v2/events", params=params)
                events += answer["events"]
                params["cursor"] = answer["next_cursor"]
                if params["cursor"] is None:
                    break
        return events, max(len(events), answer["pagination"]["total"])


async def _open_stream(
    url: SplitResult, trust: ssl.SSLContext | None
) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    host = url.hostname or ""
    if url.scheme == "https":
        stream = await trio.open_ssl_over_tcp_stream(
            host, url.port or 443, ssl_context=trust, https_compatible=True
        )
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream
    return await trio.open_tcp_stream(host, url.port or 80)


def sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error of a group of one: a nursery wraps what passes through it."""
    sole: BaseException = group
    while isinstance(sole, BaseExceptionGroup) and len(sole.exceptions) == 1:
        sole = sole.exceptions[0]
    return sole


def _as_parameter(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _why(exc: BaseException) -> str:
    if isinstance(exc, trio_websocket.ConnectionRejected):
        return f"HTTP status {exc.status_code}"
    if isinstance(exc, trio.TooSlowError | trio_websocket.ConnectionTimeout):
        return "no answer"
    if isinstance(exc, trio_websocket.ConnectionClosed):
        return "closed"
    # trio-websocket says "handshake error"; the system error below it says why.
    return str(exc.__cause__ or exc) or "no websocket there"
