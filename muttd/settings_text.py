"""Settings written out: etc/mutt.env, docs/settings.md, docs/dynamic.md, what print-config shows.

All of it comes from the declarations in settings.py; a test holds the files to them.
A secret is never written, whatever its source; only a default, which everybody can read, is.
"""

from __future__ import annotations

import json
import operator
import textwrap
from collections.abc import Iterator
from itertools import groupby

from muttd.dynamic import ROWS
from muttd.settings import Settings, declared
from muttd.settings_table import Row
from muttd.settings_values import as_text

_ENV_HEAD = """\
# Settings of muttd: /etc/mutt/mutt.env, mode 600. A line that is commented out shows the default.
# An empty value means the default. A secret may be in a file, mode 600, that NAME_FILE names.
# After a change: muttd check-config
"""

_PAGE_HEAD = """\
# Settings

Settings come from the environment, usually from `/etc/mutt/mutt.env`. An empty value means the
default. `muttd check-config` names every mistake at once; `muttd print-config` shows each value and
where it came from, secrets redacted.

- Addresses are `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, several separated by commas, or `off`. `[::]`
  takes IPv4 too. Port 0 picks a free one and logs it.
- Every secret can come from a file: `NAME_FILE` holds its path (for systemd's `LoadCredential=`). A
  file that everybody may read is refused.
- A secret that is set neither way comes from the systemd credential of its name, else from
  [Vault](vault.md).
- API keys and passwords rotate without a gap: while `NAME_NEXT` (or `NAME_NEXT_FILE`) is set, both
  are valid.
- A URL of Redis or PostgreSQL may carry a user and a password; they are never shown.

This page is generated from the declarations in `muttd/settings.py` by `script/generate`.
"""


def _groups() -> Iterator[tuple[str, list[Row]]]:
    """Rows by group, with the group's one-line description."""
    for parent, rows in groupby(declared(), key=lambda row: row.path[:-1]):
        kind = operator.attrgetter(".".join(parent))(Settings()) if parent else Settings()
        yield type(kind).__doc__ or "", list(rows)


def _default_of(row: Row) -> str:
    return as_text(row.default, reveal=True)


def render_env_file() -> str:
    """The text of etc/mutt.env."""
    parts = [_ENV_HEAD]
    for title, rows in _groups():
        parts.append(f"\n# --- {title}\n")
        for row in rows:
            note = f" [{row.bounds}]" if row.bounds else ""
            lines = textwrap.wrap(row.text + note, width=97)
            parts.append("".join(f"# {line}\n" for line in lines))
            parts.append(f"#{row.name}={_default_of(row)}\n")
    return "".join(parts)


def render_page() -> str:
    """The text of docs/settings.md."""
    parts = [_PAGE_HEAD]
    for title, rows in _groups():
        parts.append(f"\n## {title.rstrip('.')}\n\n| name | default | unit, bounds | meaning |\n")
        parts.append("|---|---|---|---|\n")
        for row in rows:
            default = f"`{_default_of(row)}`" if _default_of(row) else ""
            secret = " Secret." if row.is_secret else ""
            parts.append(f"| `{row.name}` | {default} | {row.bounds} | {row.text}{secret} |\n")
    return "".join(parts)


_DYNAMIC_HEAD = """\
# Dynamic configuration

What operators change while the daemons run: on the Config page, or through the API. A change is in
force on every daemon within a second, and in `config_audit_log` in the same transaction.

```sh
curl -H "X-API-KEY: $KEY" http://localhost:8080/api/v2/config
curl -H "X-API-KEY: $KEY" -X PUT http://localhost:8080/api/v2/config/moog_rate_limit \\
    -H 'Content-Type: application/json' -d '{"value": 20, "change_reason": "receiver is slow"}'
curl -H "X-API-KEY: $KEY" http://localhost:8080/api/v2/config/moog_rate_limit/history
curl -H "X-API-KEY: $KEY" -X DELETE http://localhost:8080/api/v2/config/moog_rate_limit
```

In a terminal:

```sh
muttd config list
muttd config set moog_rate_limit=20 moog_rate_period=2 --reason "receiver is slow"
muttd config unset moog_rate_limit moog_rate_period
```

- `DELETE` goes back to the default: the value of the environment name, else the one below.
- `PUT /api/v2/config` with `{"values": {...}}` changes several keys at once, all or none; `null`
  takes one back to its default.
- A stored value overrides the environment. `source` says which of the three is shown.
- While the store is away the last values stay in force. A daemon that starts then goes by those of
  its last run (`dynamic.snapshot` in the state directory), and deletes nothing by them.

This page is generated from the declarations in `muttd/dynamic.py` by `script/generate`.

| key | default | unit, bounds | environment | meaning |
|---|---|---|---|---|
"""


def render_dynamic_page() -> str:
    """The text of docs/dynamic.md."""
    return _DYNAMIC_HEAD + "".join(
        f"| `{key}` | `{_default_of(row)}` | {row.bounds} | `{row.name}` | {row.text} |\n"
        for key, row in ROWS.items()
    )


def _shown(settings: Settings, row: Row) -> str:
    value = operator.attrgetter(".".join(row.path))(settings)
    if value == () and not row.is_secret:
        return "off"
    return as_text(value)


def render_config(settings: Settings, *, as_json: bool = False) -> str:
    """What is in force and where it came from; secrets redacted."""
    shown = [
        (row.name, _shown(settings, row), settings.sources.get(row.name, "default"))
        for row in declared()
    ]
    if as_json:
        document = {name: {"value": value, "source": source} for name, value, source in shown}
        return json.dumps(document, indent=2) + "\n"
    width = max(len(f"{name}={value}") for name, value, _ in shown)
    return "".join(
        f"{name}={value}".ljust(min(width, 72)) + f"  # {source}\n" for name, value, source in shown
    )
