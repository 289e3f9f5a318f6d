"""The predecessor's environment -> settings of ours, secrets apart, and a finding for every name.

map_environment({"REDIS_HOST": "r1", "REDIS_PASS": "..."}) ->
    settings   {"MUTTD_REDIS_URL": "rediss://r1:6379/0"}
    secrets    {"MUTTD_REDIS_PASSWORD": Secret(...)}
    findings   mapped REDIS_HOST -> MUTTD_REDIS_URL, ...

Pure. A name that nobody knows is a finding to be looked at, never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from muttd.legacy.env_file import without_comment
from muttd.legacy.env_table import (
    DATABASE,
    HTTP,
    LEFT,
    MOVED,
    REDIS,
    RETENTION_SWITCH,
    SECRETS,
    SWITCHES,
    is_true,
)
from muttd.legacy.findings import Finding, Verdict
from muttd.settings_values import Secret

# What the predecessor read when VAULT_SECRETS_PATH was not set; ours is another.
_VAULT_PATH = "secret/mutt"


@dataclass(frozen=True, slots=True)
class EnvPlan:
    """What becomes of an environment.

    Attributes:
        settings: Ours that are no secrets, by name.
        secrets: Ours that are.
        findings: One for every name that was there.
    """

    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(self, verdict: Verdict, what: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(verdict, what, text))


def map_environment(values: Mapping[str, str], *, database: str) -> EnvPlan:
    """Map every name.

    Args:
        values: As read_env() gives them; an empty one counts as not set.
        database: Name of our own database: its tables have names that theirs has, too.
    """
    plan = EnvPlan()
    told = {name: value for name, value in values.items() if value.strip()}
    plain = {name: without_comment(value) for name, value in told.items() if name not in SECRETS}
    _map_moved(plain, plan)
    _map_secrets(told, plan)
    _map_redis(plain, plan)
    _map_database(plain, database, plan)
    _map_http(plain, plan)
    _map_switches(plain, plan)
    _map_vault(plain, plan)
    seen = {each for finding in plan.findings for each in finding.what.split(", ")}
    for name in told:
        if name in seen:
            continue
        if name in LEFT:
            plan.say(Verdict.LEFT, name, LEFT[name])
        elif name.startswith("MUTTD_"):
            plan.say(Verdict.LEFT, name, "is a setting of muttd already: keep it")
        else:
            plan.say(Verdict.MEND, name, "is not known; nothing is made of it")
    return plan


def _map_moved(told: Mapping[str, str], plan: EnvPlan) -> None:
    for name, (ours, convert) in MOVED.items():
        if name not in told:
            continue
        if ours in plan.settings:
            plan.say(Verdict.LEFT, name, f"{ours} has the value of another name")
            continue
        try:
            plan.settings[ours] = convert(told[name])
        except ValueError as exc:
            plan.say(Verdict.MEND, name, f"{ours}: {exc}")
        else:
            plan.say(Verdict.MAPPED, name, ours)


def _map_secrets(told: Mapping[str, str], plan: EnvPlan) -> None:
    for name, ours in SECRETS.items():
        if name not in told:
            continue
        if ours in plan.secrets:
            plan.say(Verdict.LEFT, name, f"{ours} has the value of another name")
            continue
        plan.secrets[ours] = Secret(told[name].strip())
        plan.say(Verdict.MAPPED, name, f"{ours}_FILE, a secret")


def _parts(
    told: Mapping[str, str], names: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, str], str]:
    """The value of each part that is set, and the names that it came from."""
    parts: dict[str, str] = {}
    used: list[str] = []
    for part, candidates in names.items():
        present = [name for name in candidates if name in told]
        if present:
            parts[part] = told[present[0]]
            used += present
    return parts, ", ".join(used)


def _map_redis(told: Mapping[str, str], plan: EnvPlan) -> None:
    parts, used = _parts(told, REDIS)
    if not parts:
        return
    try:
        scheme = "rediss" if is_true(parts.get("tls", "true")) else "redis"
    except ValueError as exc:
        plan.say(Verdict.MEND, used, f"MUTTD_REDIS_URL: REDIS_TLS_ENABLED {exc}")
        return
    host = _bracketed(parts.get("host", "localhost"))
    plan.settings["MUTTD_REDIS_URL"] = (
        f"{scheme}://{host}:{parts.get('port', '6379')}/{parts.get('db', '0')}"
    )
    plan.say(Verdict.MAPPED, used, "MUTTD_REDIS_URL; Redis 7 or newer is needed")


def _map_database(told: Mapping[str, str], database: str, plan: EnvPlan) -> None:
    parts, used = _parts(told, DATABASE)
    if not parts:
        return
    try:
        has_tls = is_true(parts.get("tls", "true"))
    except ValueError as exc:
        plan.say(Verdict.MEND, used, f"MUTTD_DATABASE_URL: TLS {exc}")
        return
    if parts.get("name") == database:
        plan.say(
            Verdict.MEND,
            used,
            f"the predecessor's database is called {database}: ours must be another one, because"
            " its tables have the same names; choose one with --new-database",
        )
        return
    user = quote(parts.get("user", "mutt_user"), safe="")
    address = f"{_bracketed(parts.get('host', 'localhost'))}:{parts.get('port', '5432')}"
    query = ""
    if has_tls:
        has_ca = "MUTTD_DATABASE_TLS_CA" in plan.settings
        query = "?sslmode=verify-full" if has_ca else "?sslmode=require"
    plan.settings["MUTTD_DATABASE_URL"] = f"postgresql://{user}@{address}/{database}{query}"
    plan.say(
        Verdict.MAPPED,
        used,
        f"MUTTD_DATABASE_URL, a database of our own: CREATE DATABASE {database} OWNER ...",
    )


def _map_http(told: Mapping[str, str], plan: EnvPlan) -> None:
    parts, used = _parts(told, HTTP)
    if not parts:
        return
    host = _bracketed(parts.get("host", "::"))
    # Every address of IPv4 alone would shut out senders of IPv6.
    host = "[::]" if host == "0.0.0.0" else host
    plan.settings["MUTTD_HTTP"] = f"{host}:{parts.get('port', '8080')}"
    plan.say(Verdict.MAPPED, used, "MUTTD_HTTP, which has the pages as well")


def _map_switches(told: Mapping[str, str], plan: EnvPlan) -> None:
    for name, (ours, off) in SWITCHES.items():
        if name not in told:
            continue
        try:
            is_on = is_true(told[name])
        except ValueError as exc:
            plan.say(Verdict.MEND, name, f"{ours}: {exc}")
            continue
        if not is_on:
            plan.settings[ours] = off
        plan.say(Verdict.MAPPED, name, ours if not is_on else f"{ours}, which is on by default")
    if RETENTION_SWITCH in told:
        plan.say(
            Verdict.LEFT,
            RETENTION_SWITCH,
            "retention is always on; raise its settings to keep more",
        )


def _map_vault(told: Mapping[str, str], plan: EnvPlan) -> None:
    if "VAULT_ADDR" not in told:
        return
    plan.settings.setdefault("VAULT_SECRETS_PATH", _VAULT_PATH)
    renamed = ", ".join(f"{name} to {ours}" for name, ours in SECRETS.items() if name != ours)
    plan.say(
        Verdict.LEFT,
        "the secret in Vault",
        f"add its values there under the names of muttd: {renamed}",
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
