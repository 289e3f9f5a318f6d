"""One attempt to deliver one alert to a webhook, and what its answer means.

    2xx                               delivered
    timeout, refused, 408 425 429 5xx DeliverLater, with Retry-After (RFC 9110, 10.2.3)
    401 403 and any redirect          DestinationHeld: the settings are wrong, not the alert
    any other                         Undeliverable

The only file that knows httpx. The key is joined here, at the moment of sending.
"""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import msgspec
import trio

from muttd.decision import Alert
from muttd.errors import DeliverLater, DestinationHeld, Undeliverable
from muttd.event import utc_now
from muttd.workers.payload import moogsoft_payload

# Of an answer, for the operator. More is read by nobody.
_EXCERPT_CHARS = 300
_EXCERPT_OCTETS = 4096
_REST_OF_SUCCESS_S = 0.5
_KEY_REFUSED = (401, 403)
_RETRY_STATUSES = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where alerts go.

    Attributes:
        url: http or https.
        auth_header: The header that carries the key; in Authorization it is a Bearer token.
        api_keys: Gives the keys now in force; asked at each attempt, so a reload counts. When the
            receiver refuses one, the next is tried: during a rotation two are valid.
        timeout_s: Of one attempt, from its beginning to the end of the answer's beginning.
        daemon_name: For agent_location.
    """

    url: str
    auth_header: str
    api_keys: Callable[[], Sequence[str]]
    timeout_s: float
    daemon_name: str


class Webhook:
    """A destination; see open_webhook()."""

    def __init__(self, client: httpx.AsyncClient, settings: WebhookSettings) -> None:
        self._client = client
        self._settings = settings
        # The key that was taken last is sent first.
        self._right: str | None = None

    async def deliver(self, alert: Alert) -> int:
        """Make one attempt, with each key until one is taken. Returns the 2xx status.

        Raises:
            DeliverLater, DestinationHeld, Undeliverable: As the table above says.
        """
        keys = sorted(self._settings.api_keys(), key=lambda each: each != self._right)
        for key in keys[:-1]:
            try:
                status = await self._deliver_with(key, alert)
            except DestinationHeld as exc:
                if exc.status not in _KEY_REFUSED:
                    raise
            else:
                self._right = key
                return status
        last = keys[-1] if keys else None
        status = await self._deliver_with(last, alert)
        self._right = last
        return status

    async def _deliver_with(self, key: str | None, alert: Alert) -> int:
        settings = self._settings
        payload = moogsoft_payload(alert, daemon_name=settings.daemon_name)
        body = msgspec.json.encode(payload)
        try:
            # One deadline over all: httpx's own counts anew with each octet that drips in.
            with trio.fail_after(settings.timeout_s):
                async with self._client.stream(
                    "POST", settings.url, content=body, headers=self._headers(key)
                ) as response:
                    if response.is_success:
                        # Read to its end, the connection can be used again; but 2xx is said.
                        with trio.move_on_after(_REST_OF_SUCCESS_S):
                            await self._excerpt(response)
                        return response.status_code
                    excerpt = await self._excerpt(response)
        except (httpx.TimeoutException, trio.TooSlowError) as exc:
            raise DeliverLater(f"no answer within {settings.timeout_s:g} s") from exc
        except httpx.HTTPError as exc:
            # Not the exception's text: some of them quote the URL.
            raise DeliverLater(f"no connection ({type(exc).__name__})") from exc
        status = response.status_code
        what = f"status {status}: {excerpt}" if excerpt else f"status {status}"
        if status in _RETRY_STATUSES or status >= 500:
            raise DeliverLater(what, status=status, retry_after_s=_retry_after_s(response))
        if status in _KEY_REFUSED or 300 <= status < 400:
            raise DestinationHeld(what, status=status)
        raise Undeliverable(what, status=status)

    async def _excerpt(self, response: httpx.Response) -> str:
        """The beginning of an answer; never more, never our key."""
        octets = b""
        # Raw: nobody inflates a stranger's answer here, and nobody believes its charset.
        with suppress(httpx.ReadError):
            async for chunk in response.aiter_raw(_EXCERPT_OCTETS):
                octets += chunk
                if len(octets) >= _EXCERPT_OCTETS:
                    # Not `break`: httpx leaves its generators to the garbage collector then. The
                    # next read finds the connection closed and ends them in order.
                    await response.aclose()
        text = octets.decode("utf-8", "replace")
        for key in self._settings.api_keys():
            # Before it is cut: half a key is a secret too.
            text = text.replace(key, "***")
        return " ".join(text.split())[:_EXCERPT_CHARS]

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if key is not None:
            name = self._settings.auth_header
            headers[name] = f"Bearer {key}" if name.lower() == "authorization" else key
        return headers


def _retry_after_s(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - utc_now()).total_seconds())


@asynccontextmanager
async def open_webhook(settings: WebhookSettings) -> AsyncIterator[Webhook]:
    """A pooled client for one destination, closed with the block."""
    # trust_env: a proxy named in somebody's environment must not see alerts.
    async with httpx.AsyncClient(
        timeout=settings.timeout_s, follow_redirects=False, trust_env=False
    ) as client:
        yield Webhook(client, settings)
