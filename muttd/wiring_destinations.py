"""The destinations that the settings name, ready to be opened.

MUTTD_MOOG_*             the destination "moog"
MUTTD_DESTINATIONS_FILE  any others
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from muttd.decision import Alert
from muttd.destinations import (
    SETTING,
    DestinationConfig,
    DestinationsFile,
    DestinationType,
    parse_headers,
    read_destinations,
)
from muttd.dynamic import Dynamic
from muttd.errors import ConfigError
from muttd.queue.breaker import Breaker, BreakerLimits
from muttd.queue.contract import MOOG
from muttd.queue.counters import Pace
from muttd.settings import Settings
from muttd.settings_values import Secret
from muttd.wiring_backends import Backends
from muttd.workers.body_template import BadTemplate, BodyTemplate
from muttd.workers.dispatch import Line
from muttd.workers.forwarder import ForwarderPolicy, Gates
from muttd.workers.payload import moogsoft_body
from muttd.workers.routing import Routes
from muttd.workers.webhook import WebhookSettings

# Beyond the attempt itself: waiting for a turn, and for Redis.
_ADMISSION_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Destinations:
    """What the settings say, and nothing opened yet.

    Attributes:
        configs: By name.
        routes: Who gets what.
    """

    configs: dict[str, DestinationConfig]
    routes: Routes


@dataclass(frozen=True, slots=True)
class Shared:
    """What all destinations have, over every reload.

    Attributes:
        backends: Where rate limits and breakers are shared.
        dynamic: The limits in force.
        consumer: This daemon's name in the queue.
        moog_keys: Gives the keys of MUTTD_MOOG_* now in force; they may change without a reload.
        breakers: By name; grows. What a breaker knows outlives a reload.
    """

    backends: Backends
    dynamic: Dynamic
    consumer: str
    moog_keys: Callable[[], Sequence[str]]
    breakers: dict[str, Breaker] = field(default_factory=dict)


def load_destinations(settings: Settings) -> Destinations:
    """Read what the settings and their file say; try every template and certificate.

    Raises:
        ConfigError: Every mistake.
    """
    file = read_destinations(settings.destinations_file)
    configs = {each.name: each for each in file.destinations}
    mistakes: list[str] = []
    moog = _moog(settings, mistakes)
    if moog is not None:
        if MOOG in configs:
            mistakes.append(f"{SETTING}: the name {MOOG!r} is that of MUTTD_MOOG_WEBHOOK_URL")
        configs[MOOG] = moog
    for config in configs.values():
        where = "MUTTD_MOOG" if config is moog else f"{SETTING}: {config.name}"
        mistakes += [f"{where}: {each}" for each in _faults(settings, config)]
    default = file.default or (MOOG if moog is not None else None)
    if default is None and len(configs) == 1:
        default = next(iter(configs))
    if configs and default not in configs:
        said = "names none of them" if default else "must say which of them is meant"
        mistakes.append(f"{SETTING}: default {said}: {', '.join(sorted(configs))}")
    if mistakes:
        raise ConfigError(mistakes)
    return Destinations(configs, _routes(file, configs, default))


def _routes(
    file: DestinationsFile, configs: dict[str, DestinationConfig], default: str | None
) -> Routes:
    teams = tuple((team, each.name) for each in file.destinations for team in each.teams)
    return Routes(default=default, names=frozenset(configs), teams=teams)


def _moog(settings: Settings, mistakes: list[str]) -> DestinationConfig | None:
    moog = settings.moog
    if moog.webhook_url is None:
        return None
    headers: tuple[tuple[str, str], ...] = ()
    try:
        headers = parse_headers(moog.headers)
    except ValueError as exc:
        mistakes.append(f"MUTTD_MOOG_HEADERS: {exc}")
    return DestinationConfig(
        name=MOOG,
        type=DestinationType.MOOG,
        url=moog.webhook_url,
        auth_header=moog.auth_header,
        headers=headers,
        ca=moog.tls_ca,
        cert=moog.tls_cert,
        cert_key=moog.tls_key,
        timeout_s=moog.timeout_s,
        concurrency=moog.concurrency,
    )


def _faults(settings: Settings, config: DestinationConfig) -> list[str]:
    faults = []
    try:
        _body(settings, config)
    except BadTemplate as exc:
        faults.append(f"template: {exc}")
    try:
        _tls(config)
    except (OSError, ssl.SSLError) as exc:
        faults.append(f"TLS: the CA, certificate or key cannot be used: {exc}")
    if config.cert_key is not None and config.cert is None:
        faults.append("TLS: a key without its certificate")
    return faults


def _body(settings: Settings, config: DestinationConfig) -> Callable[[Alert], bytes]:
    if config.type is DestinationType.MOOG:
        return partial(moogsoft_body, daemon_name=settings.daemon_name)
    return BodyTemplate(config.template, daemon_name=settings.daemon_name)


def _tls(config: DestinationConfig) -> ssl.SSLContext | None:
    if config.ca is None and config.cert is None:
        return None
    context = ssl.create_default_context(cafile=config.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.cert is not None:
        context.load_cert_chain(config.cert, config.cert_key)
    return context


def _tls_digests(config: DestinationConfig) -> list[bytes]:
    """What the files of certificates hold: a new one under the same name is another one."""
    files = (config.ca, config.cert, config.cert_key)
    return [hashlib.sha256(file.read_bytes()).digest() for file in files if file is not None]


def lines_of(settings: Settings, destinations: Destinations, shared: Shared) -> dict[str, Line]:
    """Make what each destination needs, from what is configured."""
    backends, dynamic, breakers = shared.backends, shared.dynamic, shared.breakers

    def line(config: DestinationConfig) -> Line:
        def pace() -> Pace:
            current = dynamic.current
            return Pace(*(config.rate or (current.moog_rate_limit, current.moog_rate_period)))

        def limits() -> BreakerLimits:
            current = dynamic.current
            return BreakerLimits(
                failures=current.breaker_failures,
                open_s=current.breaker_open_seconds,
                attempt_s=config.timeout_s + _ADMISSION_MARGIN_S,
            )

        if config.name not in breakers:
            breakers[config.name] = backends.make_breaker(config.name, limits)
        moog = settings.moog
        return Line(
            config=(config, _tls_digests(config)),
            policy=ForwarderPolicy(
                name=config.name,
                consumer=shared.consumer,
                backoff_base_s=moog.backoff_base_s,
                backoff_cap_s=moog.backoff_cap_s,
                claim_idle_s=settings.queue.claim_idle_s,
                concurrency=config.concurrency,
            ),
            gates=Gates(
                breaker=breakers[config.name], limit=backends.make_limit(config.name, pace)
            ),
            webhook=_webhook(settings, config, shared),
        )

    return {name: line(config) for name, config in destinations.configs.items()}


def _webhook(settings: Settings, config: DestinationConfig, shared: Shared) -> WebhookSettings:
    own_keys = [] if config.key is None else [config.key.reveal()]
    is_setting = config.name == MOOG and settings.moog.webhook_url is not None
    return WebhookSettings(
        url=config.url,
        auth_header=config.auth_header,
        api_keys=shared.moog_keys if is_setting else lambda: own_keys,
        timeout_s=config.timeout_s,
        body=_body(settings, config),
        headers=config.headers,
        secret_headers=tuple((name, value.reveal) for name, value in config.secret_headers),
        hmac_key=partial(_revealed, config.hmac_key),
        names_alert=config.type is DestinationType.WEBHOOK,
        tls=_tls(config),
    )


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
