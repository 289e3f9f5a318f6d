"""Somebody who watches a daemon's live feed, in a thread of his own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio
from running_daemon import RunningDaemon, eventually
from trio_websocket import ConnectionClosed, open_websocket_url


class LiveViewer:
    """What came over the websocket so far."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self._url = daemon.url.replace("http:", "ws:") + "/api/v2/live"
        self._key = daemon.key()
        self._scope = trio.CancelScope()
        self._thread = threading.Thread(target=trio.run, args=(self._watch,), daemon=True)
        self._token: trio.lowlevel.TrioToken | None = None
        self.frames: list[dict[str, Any]] = []

    def start(self) -> None:
        """Begin, and wait for the first beat of the feed."""
        self._thread.start()
        eventually(lambda: [each for each in self.frames if each["type"] == "stats"])

    def stop(self) -> None:
        """Go away."""
        assert self._token is not None
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(10.0)

    def events(self, text: str) -> list[dict[str, Any]]:
        """Events with that text in their message, each time it was shown."""
        return [
            event
            for frame in list(self.frames)
            if frame["type"] == "events"
            for event in frame["events"]
            if text in event["message"]
        ]

    def decisions(self, event_id: str) -> list[dict[str, Any]]:
        """Decisions of one event."""
        return [
            decision
            for frame in list(self.frames)
            if frame["type"] == "decisions"
            for decision in frame["decisions"]
            if decision["event_id"] == event_id
        ]

    async def _watch(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        headers = [(b"X-API-KEY", self._key.encode())]
        with self._scope:
            async with open_websocket_url(self._url, extra_headers=headers) as connection:
                try:
                    while True:
                        self.frames.append(json.loads(await connection.get_message()))
                except ConnectionClosed:
                    return


@contextmanager
def watching(daemon: RunningDaemon) -> Iterator[LiveViewer]:
    """Watch until the block ends."""
    viewer = LiveViewer(daemon)
    viewer.start()
    try:
        yield viewer
    finally:
        viewer.stop()
