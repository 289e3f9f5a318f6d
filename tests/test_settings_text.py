"""Settings written out: true to the declarations, and silent about secrets."""

from __future__ import annotations

import json
from pathlib import Path

from muttd.settings import declared, load
from muttd.settings_text import render_config, render_env_file, render_page


def test_the_env_file_sets_nothing_and_names_everything() -> None:
    lines = render_env_file().splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    assert [line for line in lines if line.startswith(("#MUTTD_", "#VAULT_"))] == [
        line for line in lines if line[1:].split("=")[0] in {row.name for row in declared()}
    ]
    assert "#MUTTD_SYSLOG_UDP=[::]:514" in lines
    assert max(map(len, lines)) <= 100


def test_every_default_of_the_env_file_is_accepted_and_changes_nothing() -> None:
    lines = render_env_file().splitlines()
    pairs = [line[1:] for line in lines if line.startswith(("#MUTTD_", "#VAULT_"))]
    assert len(pairs) == len(declared())
    environ = dict(pair.split("=", 1) for pair in pairs)
    # The machine's zone is another object each time it is read.
    del environ["MUTTD_SYSLOG_TIME_ZONE"]
    assert load(environ) == load({})


def test_the_page_has_a_row_for_every_setting() -> None:
    page = render_page()
    for row in declared():
        assert f"| `{row.name}` |" in page
        assert row.text in page


def test_print_config_says_where_each_value_came_from_and_redacts_secrets(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("hunter2")
    key.chmod(0o600)
    settings = load(
        {
            "MUTTD_ADMIN_API_KEY_FILE": str(key),
            "MUTTD_MOOG_API_KEY": "hunter3",
            "MUTTD_SYSLOG_UDP": "off",
            "MUTTD_REDIS_URL": "redis://hunter4:hunter5@redis.example:6379/0",
            "MUTTD_DATABASE_URL": "postgresql://h/d?password=hunter6",
        }
    )
    shown = json.loads(render_config(settings, as_json=True))
    assert shown["MUTTD_ADMIN_API_KEY"] == {"value": "Secret(...)", "source": "file"}
    assert shown["MUTTD_MOOG_API_KEY"] == {"value": "Secret(...)", "source": "environment"}
    assert shown["MUTTD_SYSLOG_UDP"] == {"value": "off", "source": "environment"}
    assert shown["MUTTD_INGEST_API_KEY"] == {"value": "", "source": "default"}
    assert shown["MUTTD_REDIS_URL"]["value"] == "redis://***@redis.example:6379/0"
    assert shown["MUTTD_DATABASE_URL"]["value"] == "postgresql://h/d?password=***"
    lines = render_config(settings)
    assert "hunter" not in lines
    assert [line.split() for line in lines.splitlines() if line.startswith("MUTTD_HTTP=")] == [
        ["MUTTD_HTTP=[::]:8080", "#", "default"]
    ]
