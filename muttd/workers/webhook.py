"""One attempt to deliver one alert to a webhook, and what its answer means.

    body(alert), headers, key, signature --POST-->

    2xx                               delivered
    timeout, refused, 408 425 429 5xx DeliverLater, with Retry-After (RFC 9110, 10.2.3)
    401 403 and any redirect          DestinationHeld: the settings are wrong, not the alert
    any other                         Undeliverable

The only file that knows httpx. Keys are joined here, at the moment of sending.

    X-Muttd-Signature: t=1735787045,v1=5257a869...     HMAC-SHA256 of "1735787045." and the body

The time is signed with the body, so that a receiver can refuse what somebody has recorded.
"""

from __future__ import annotations

import email.utils
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

import httpx
import trio

from muttd.decision import Alert
from muttd.errors import DeliverLater, DestinationHeld, Undeliverable
from muttd.event import utc_now

# Of an answer, for the operator. More is read by nobody.
_EXCERPT_CHARS = 300
_EXCERPT_OCTETS = 4096
_REST_OF_SUCCESS_S = 0.5
_KEY_REFUSED = (401, 403)
SIGNATURE_HEADER = "X-Muttd-Signature"
_RETRY_STATUSES = frozenset({408, 425, 429})
# No coding: what is shown of an answer is not inflated.
_EVERY_REQUEST = httpx.Headers(
    {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "muttd"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where alerts go.

    Attributes:
        url: http or https.
        auth_header: The header that carries the key; in Authorization it is a Bearer token.
        api_keys: Gives the keys now in force; asked at each attempt, so a reload counts. When the
            receiver refuses one, the next is tried: during a rotation two are valid.
        timeout_s: Of one attempt, from its beginning to the end of the answer's beginning.
        body: Makes the body; a ValueError says why it cannot.
        headers: Sent as well.
        secret_headers: The same; nobody is shown their values.
        hmac_key: Signs the body.
        names_alert: Whether Idempotency-Key names the alert, for what the body may not say.
        tls: Whom we believe and who we are; None: the system's authorities, nobody.
    """

    url: str
    auth_header: str
    api_keys: Callable[[], Sequence[str]]
    timeout_s: float
    body: Callable[[Alert], bytes]
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, Callable[[], str]], ...] = ()
    hmac_key: Callable[[], str | None] = lambda: None
    names_alert: bool = False
    tls: ssl.SSLContext | None = None


class Webhook:
    """A destination; see open_webhook()."""

    def __init__(self, transport: httpx.AsyncHTTPTransport, settings: WebhookSettings) -> None:
        self._transport = transport
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

    @cached_property
    def _url(self) -> httpx.URL:
        # At the first attempt: what httpx cannot read is that attempt's failure, not the daemon's.
        return httpx.URL(self._settings.url)

    async def _deliver_with(self, key: str | None, alert: Alert) -> int:
        settings = self._settings
        try:
            body = settings.body(alert)
        except ValueError as exc:
            raise Undeliverable(f"the body cannot be made: {exc}") from exc
        try:
            # One deadline over all: httpx's own counts anew with each octet that drips in.
            with trio.fail_after(settings.timeout_s):
                async with self._posted(body, self._headers(key, alert, body)) as response:
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

    @asynccontextmanager
    async def _posted(self, body: bytes, headers: httpx.Headers) -> AsyncIterator[httpx.Response]:
        # The transport alone: a client joins URLs, keeps cookies, looks for redirects, each time.
        request = httpx.Request("POST", self._url, headers=headers, content=body)
        response = await self._transport.handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()

    async def _excerpt(self, response: httpx.Response) -> str:
        """The beginning of an answer; never more, never our key."""
        octets = b""
        is_whole = False
        # Raw: nobody inflates a stranger's answer here, and nobody believes its charset.
        with suppress(httpx.ReadError):
            async for chunk in response.aiter_raw(_EXCERPT_OCTETS):
                octets += chunk
                if len(octets) >= _EXCERPT_OCTETS:
                    # Not `break`: httpx leaves its generators to the garbage collector then. The
                    # next read finds the connection closed and ends them in order.
                    await response.aclose()
            is_whole = len(octets) < _EXCERPT_OCTETS
        # Before it is cut to what is shown: half a key is a secret too.
        octets = _without(octets, self._secrets(), is_whole=is_whole)
        return " ".join(octets.decode("utf-8", "replace").split())[:_EXCERPT_CHARS]

    def _secrets(self) -> list[str]:
        settings = self._settings
        given = [*settings.api_keys(), settings.hmac_key()]
        given += [value() for _, value in settings.secret_headers]
        return [each for each in given if each]

    def _headers(self, key: str | None, alert: Alert, body: bytes) -> httpx.Headers:
        settings = self._settings
        headers = {"Content-Type": "application/json", **dict(settings.headers)}
        headers |= {name: value() for name, value in settings.secret_headers}
        hmac_key = settings.hmac_key()
        if key is not None:
            name = settings.auth_header
            headers[name] = f"Bearer {key}" if name.lower() == "authorization" else key
        if hmac_key is not None:
            headers[SIGNATURE_HEADER] = signature_header(
                hmac_key, body, at=int(utc_now().timestamp())
            )
        if settings.names_alert:
            headers["Idempotency-Key"] = alert.alert_id
        merged = _EVERY_REQUEST.copy()
        merged.update(headers)
        return merged


def _without(octets: bytes, secrets: Sequence[str], *, is_whole: bool) -> bytes:
    """An answer without our secrets; what is not whole does not end within one, either."""
    # The longest first: another one may be a part of it.
    hidden = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
    for secret in hidden:
        octets = octets.replace(secret, b"***")
    if is_whole:
        return octets
    begun = (
        length
        for secret in hidden
        for length in range(len(secret) - 1, 0, -1)
        if octets.endswith(secret[:length])
    )
    return octets[: len(octets) - max(begun, default=0)]


def signature_header(key: str, body: bytes, *, at: int) -> str:
    """What X-Muttd-Signature says of a body sent at that moment (seconds since 1970)."""
    signed = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


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
    """Pooled connections to one destination, closed with the block."""
    # trust_env: a proxy named in somebody's environment must not see alerts.
    async with httpx.AsyncHTTPTransport(
        verify=True if settings.tls is None else settings.tls, trust_env=False
    ) as transport:
        yield Webhook(transport, settings)
