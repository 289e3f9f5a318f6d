"""Every env name of the predecessor that is known, and what it is here.

    MOVED       one name, one setting; some values are converted
    SECRETS     the same, and the value goes into a file of its own
    LEFT        nothing here does what it did; why
    REDIS, DATABASE, HTTP      several names make one setting: env_map.py puts them together

Two generations of names are in it (DB_HOST and POSTGRES_HOST); of several names of one setting the
first in the table that is set counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
# Thirty days and not less: rounded up, so that nothing is forgotten earlier than there.
_DAYS_OF_MONTH = 30
_LEVELS = {"debug", "info", "warning", "error"}


def is_true(value: str) -> bool:
    """A boolean as the predecessor wrote it.

    Raises:
        ValueError: It is none.
    """
    word = value.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _same(value: str) -> str:
    return value


def _number(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        raise ValueError("must be a number") from None
    return f"{number:g}" if number != int(number) else str(int(number))


def _months(value: str) -> str:
    return str(max(1, -(-int(_whole(value)) // _DAYS_OF_MONTH)))


def _whole(value: str) -> str:
    if not value.strip().isdigit():
        raise ValueError("must be a whole number")
    return value.strip()


def _pool(value: str) -> str:
    # One connection there can read and write; here reading and writing have one each.
    return str(max(2, int(_whole(value))))


def _level(value: str) -> str:
    word = {"warn": "warning", "critical": "error"}.get(value.lower(), value.lower())
    if word not in _LEVELS:
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return word


def _format(value: str) -> str:
    return "json" if value.lower() == "json" else "text"


def _json(value: str) -> str:
    return "json" if is_true(value) else "text"


MOVED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "LOG_LEVEL": ("MUTTD_LOG_LEVEL", _level),
    "LOG_FORMAT": ("MUTTD_LOG_FORMAT", _format),
    "LOG_JSON_ENABLED": ("MUTTD_LOG_FORMAT", _json),
    "MAX_INGEST_QUEUE_SIZE": ("MUTTD_QUEUE_MAX_EVENTS", _whole),
    "INGEST_QUEUE_CAP": ("MUTTD_QUEUE_MAX_EVENTS", _whole),
    "ALERTER_QUEUE_WARN_THRESHOLD": ("MUTTD_QUEUE_WARN_EVENTS", _whole),
    "ALERTER_MAX_RETRIES": ("MUTTD_ALERTER_MAX_RETRIES", _whole),
    "UNHANDLED_THRESHOLD": ("MUTTD_UNHANDLED_THRESHOLD", _whole),
    "UNHANDLED_EXPIRY_SECONDS": ("MUTTD_UNHANDLED_WINDOW_SECONDS", _whole),
    "UNHANDLED_DEFAULT_TEAM": ("MUTTD_UNHANDLED_DEFAULT_TEAM", _same),
    "MOOG_WEBHOOK_URL": ("MUTTD_MOOG_WEBHOOK_URL", _same),
    "MOOG_WEBHOOK_TIMEOUT": ("MUTTD_MOOG_TIMEOUT_S", _number),
    "MOOG_TIMEOUT": ("MUTTD_MOOG_TIMEOUT_S", _number),
    "MOOG_RATE_LIMIT": ("MUTTD_MOOG_RATE_LIMIT", _whole),
    "RATE_LIMIT_MAX_REQUESTS": ("MUTTD_MOOG_RATE_LIMIT", _whole),
    "MOOG_RATE_PERIOD": ("MUTTD_MOOG_RATE_PERIOD_S", _number),
    "RATE_LIMIT_WINDOW_SECONDS": ("MUTTD_MOOG_RATE_PERIOD_S", _number),
    "MOOG_RETRY_BASE_DELAY": ("MUTTD_MOOG_BACKOFF_BASE_S", _number),
    "RETRY_INITIAL_DELAY": ("MUTTD_MOOG_BACKOFF_BASE_S", _number),
    "MOOG_RETRY_MAX_DELAY": ("MUTTD_MOOG_BACKOFF_CAP_S", _number),
    "RETRY_MAX_DELAY": ("MUTTD_MOOG_BACKOFF_CAP_S", _number),
    "CIRCUIT_BREAKER_THRESHOLD": ("MUTTD_BREAKER_FAILURES", _whole),
    "CIRCUIT_BREAKER_TIMEOUT": ("MUTTD_BREAKER_OPEN_SECONDS", _number),
    "REMEDIATION_INTERVAL": ("MUTTD_REMEDIATION_INTERVAL", _number),
    "REMEDIATION_BATCH_SIZE": ("MUTTD_REMEDIATION_BATCH", _whole),
    "MAX_POISON_RETRIES": ("MUTTD_MAX_POISON_RETRIES", _whole),
    "POISON_MESSAGE_MAX_RETRIES": ("MUTTD_MAX_POISON_RETRIES", _whole),
    "RETENTION_EVENT_AUDIT_DAYS": ("MUTTD_EVENT_RETENTION_MONTHS", _months),
    "RETENTION_AUDIT_DAYS": ("MUTTD_CONFIG_AUDIT_DAYS", _whole),
    "RETENTION_DLQ_DAYS": ("MUTTD_DEAD_LETTER_DAYS", _whole),
    "INGEST_MAX_RATE": ("MUTTD_HTTP_INGEST_KEY_LIMIT", _whole),
    "INGEST_RATE_WINDOW": ("MUTTD_HTTP_INGEST_WINDOW_S", _number),
    "REDIS_CA_CERT_PATH": ("MUTTD_REDIS_TLS_CA", _same),
    "REDIS_TLS_CA_CERT": ("MUTTD_REDIS_TLS_CA", _same),
    "REDIS_TLS_CLIENT_CERT": ("MUTTD_REDIS_TLS_CERT", _same),
    "REDIS_TLS_CLIENT_KEY": ("MUTTD_REDIS_TLS_KEY", _same),
    "DB_TLS_CA_CERT_PATH": ("MUTTD_DATABASE_TLS_CA", _same),
    "POSTGRES_TLS_CA_CERT": ("MUTTD_DATABASE_TLS_CA", _same),
    "POSTGRES_TLS_CLIENT_CERT": ("MUTTD_DATABASE_TLS_CERT", _same),
    "POSTGRES_TLS_CLIENT_KEY": ("MUTTD_DATABASE_TLS_KEY", _same),
    "DB_POOL_MAX_CONN": ("MUTTD_DATABASE_POOL_SIZE", _pool),
    "POSTGRES_POOL_MAX": ("MUTTD_DATABASE_POOL_SIZE", _pool),
    "VAULT_ADDR": ("VAULT_ADDR", _same),
    "VAULT_SECRET_ID_FILE": ("VAULT_SECRET_ID_FILE", _same),
    "VAULT_SECRETS_PATH": ("VAULT_SECRETS_PATH", _same),
    "VAULT_SECRET_PATH": ("VAULT_SECRETS_PATH", _same),
    "VAULT_MOUNT_PATH": ("VAULT_SECRETS_MOUNT", _same),
    "VAULT_NAMESPACE": ("VAULT_NAMESPACE", _same),
    "VAULT_CACERT": ("VAULT_CACERT", _same),
    "VAULT_TLS_CA_CERT": ("VAULT_CACERT", _same),
}

# Also what the predecessor called them in Vault: there they have to be renamed.
SECRETS: Mapping[str, str] = {
    "INGEST_API_KEY": "MUTTD_INGEST_API_KEY",
    "WEBUI_API_KEY": "MUTTD_ADMIN_API_KEY",
    "MOOG_API_KEY": "MUTTD_MOOG_API_KEY",
    "REDIS_PASS_CURRENT": "MUTTD_REDIS_PASSWORD",
    "REDIS_PASS": "MUTTD_REDIS_PASSWORD",
    "REDIS_PASSWORD": "MUTTD_REDIS_PASSWORD",
    "REDIS_PASS_NEXT": "MUTTD_REDIS_PASSWORD_NEXT",
    "DB_PASS_CURRENT": "MUTTD_DATABASE_PASSWORD",
    "DB_PASS": "MUTTD_DATABASE_PASSWORD",
    "DB_PASSWORD": "MUTTD_DATABASE_PASSWORD",
    "POSTGRES_PASSWORD": "MUTTD_DATABASE_PASSWORD",
    "DB_PASS_NEXT": "MUTTD_DATABASE_PASSWORD_NEXT",
    "VAULT_ROLE_ID": "VAULT_ROLE_ID",
}

_ONE_PORT = "pages, API, ingest, metrics and health are on the one port of MUTTD_HTTP"
_ONE_DAEMON = "there is one daemon; it is named by MUTTD_DAEMON_NAME or its host"
_KEYS = "Redis keys begin with MUTTD_REDIS_PREFIX; what waits in the old ones is not taken over"
_WAITS = "an alert waits as long as it takes, and is retried without a limit"
_CLAIMS = "a dead consumer is found by MUTTD_QUEUE_CLAIM_IDLE_S"
_NO_SHED = "nothing is shed from the queue"
_OWN_PACE = "the daemon sees to it by itself"
_CONNECTIONS = "connections are made as they are needed"

LEFT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *(
                "SERVER_PORT_WEBUI",
                "WEBUI_PORT",
                "WEBUI_HOST",
                "METRICS_PORT",
                "PROMETHEUS_ENABLED",
            ),
            *("SERVER_PORT_ALERTER", "SERVER_PORT_ALERTER_METRICS", "ALERTER_METRICS_PORT"),
            *("METRICS_PORT_ALERTER", "HEALTH_PORT_ALERTER", "ALERTER_HEALTH_PORT"),
            *("METRICS_PORT_MOOG", "HEALTH_PORT_MOOG", "MOOG_FORWARDER_METRICS_PORT"),
            *("MOOG_FORWARDER_HEALTH_PORT", "METRICS_PORT_REMEDIATION", "HEALTH_PORT_REMEDIATION"),
        ),
        _ONE_PORT,
    ),
    **dict.fromkeys(("POD_NAME", "INGESTOR_WORKERS", "WEBUI_WORKERS"), _ONE_DAEMON),
    **dict.fromkeys(
        (
            *("INGEST_QUEUE_NAME", "ALERT_QUEUE_NAME", "METRICS_PREFIX", "ALERTER_DLQ_NAME"),
            *("MOOG_DLQ_NAME", "DLQ_NAME", "DEAD_LETTER_QUEUE", "MOOG_RATE_LIMIT_KEY"),
            *("RATE_LIMIT_KEY", "UNHANDLED_PREFIX", "UNHANDLED_KEY_PREFIX"),
            *("ALERTER_PROCESSING_LIST_PREFIX", "MOOG_PROCESSING_LIST_PREFIX"),
            *("PROCESSING_LIST_PREFIX_ALERTER", "PROCESSING_LIST_PREFIX_MOOG"),
            *("ALERTER_HEARTBEAT_PREFIX", "MOOG_HEARTBEAT_PREFIX"),
        ),
        _KEYS,
    ),
    **dict.fromkeys(("MOOG_MAX_RETRIES", "RETRY_MAX_ATTEMPTS"), _WAITS),
    "RETRY_BACKOFF_MULTIPLIER": "the wait doubles with each attempt",
    **dict.fromkeys(
        (
            *("ALERTER_HEARTBEAT_INTERVAL", "ALERTER_JANITOR_TIMEOUT", "MOOG_HEARTBEAT_INTERVAL"),
            *("MOOG_JANITOR_TIMEOUT", "JANITOR_INTERVAL", "HEARTBEAT_INTERVAL"),
            *("HEARTBEAT_EXPIRY", "BRPOPLPUSH_TIMEOUT"),
        ),
        _CLAIMS,
    ),
    **dict.fromkeys(
        ("ALERTER_QUEUE_SHED_THRESHOLD", "ALERTER_SHED_MODE", "ALERTER_DEFER_SLEEP_MS"), _NO_SHED
    ),
    **dict.fromkeys(
        (
            *("CACHE_RELOAD_INTERVAL", "RULE_CACHE_TTL", "DYNAMIC_CONFIG_ENABLED"),
            *("METRICS_CACHE_TTL", "VAULT_TOKEN_RENEW_THRESHOLD", "VAULT_RENEW_CHECK_INTERVAL"),
            *("RETENTION_BATCH_SIZE", "RETENTION_CLEANUP_BATCH_SIZE", "RETENTION_DRY_RUN"),
            *("MOOG_HEALTH_CHECK_ENABLED", "MOOG_HEALTH_TIMEOUT", "CIRCUIT_BREAKER_ENABLED"),
            "RATE_LIMIT_ENABLED",
        ),
        _OWN_PACE,
    ),
    **dict.fromkeys(
        (
            *("REDIS_MAX_CONNECTIONS", "REDIS_SOCKET_KEEPALIVE", "REDIS_HEALTH_CHECK_INTERVAL"),
            *("DB_POOL_MIN_CONN", "DB_POOL_MAX_OVERFLOW", "POSTGRES_POOL_MIN"),
        ),
        _CONNECTIONS,
    ),
    "REQUIRED_MESSAGE_FIELDS": "message and hostname are required, and nothing else",
    "AUDIT_LOG_PAGE_SIZE": "the client names it: limit",
    "PROMETHEUS_URL": "service levels are counted by the daemon itself",
    "VAULT_TOKEN": "a secret that is not needed: the daemon logs in by AppRole",
    "VAULT_TLS_VERIFY": "Vault's certificate is always verified",
}

# Several names of one part each: the first that is set counts.
REDIS: Mapping[str, tuple[str, ...]] = {
    "host": ("REDIS_HOST",),
    "port": ("REDIS_PORT",),
    "db": ("REDIS_DB",),
    "tls": ("REDIS_TLS_ENABLED",),
}
DATABASE: Mapping[str, tuple[str, ...]] = {
    "host": ("DB_HOST", "POSTGRES_HOST"),
    "port": ("DB_PORT", "POSTGRES_PORT"),
    "name": ("DB_NAME", "POSTGRES_DB"),
    "user": ("DB_USER", "POSTGRES_USER"),
    "tls": ("DB_TLS_ENABLED", "POSTGRES_TLS_ENABLED"),
}
HTTP: Mapping[str, tuple[str, ...]] = {
    "host": ("INGESTOR_HOST",),
    "port": ("SERVER_PORT_INGESTOR", "INGESTOR_PORT"),
}
# Off there is off here: what they switched is an interval or a limit.
SWITCHES: Mapping[str, tuple[str, str]] = {
    "REMEDIATION_ENABLED": ("MUTTD_REMEDIATION_INTERVAL", "0"),
}
RETENTION_SWITCH = "RETENTION_ENABLED"
