"""muttd/workers/body_template.py: operators' templates."""

from __future__ import annotations

import json

import pytest

from muttd.workers.body_template import BadTemplate, BodyTemplate, body_values, samples

GOOD = """
{
  "title": {{ (source ~ ": " ~ description) | tojson }},
  "priority": {{ 1 if severity >= 4 else 2 }},
  "level": "{{ severity_name }}",
  {% if team %}"queue": {{ team | tojson }},{% endif %}
  "varbinds": {{ event.varbinds | tojson }},
  "key": {{ external_id | tojson }}
}
"""


def test_a_template_makes_the_body() -> None:
    template = BodyTemplate(GOOD, daemon_name="muttd-1")
    syslog, trap = samples()
    body = json.loads(template(syslog))
    assert body["title"] == f"sw1.example.net: {syslog.event.message}"
    assert (body["priority"], body["level"], body["queue"]) == (1, "major", "NETO")
    assert body["key"] == syslog.alert_id
    body = json.loads(template(trap))
    assert "queue" not in body
    assert body["varbinds"][0]["value"] == "3"


def test_without_a_template_the_body_is_every_value() -> None:
    [alert, _] = samples()
    body = json.loads(BodyTemplate(None, daemon_name="muttd-1")(alert))
    assert body == json.loads(json.dumps(body_values(alert, daemon_name="muttd-1")))
    assert body["rule_name"] == 'the "rule"'
    assert body["agent_location"] == "muttd-1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": {{ }', "line 1: "),
        ('{"a": "{{ description }}"}', "is no JSON"),
        ('{"a": {{ nonsense | tojson }} }', "'nonsense' is undefined"),
        ('{"a": {{ description | nonsense }} }', "No filter named"),
        ("not json", "is no JSON"),
        ('{"a": {{ ().__class__.__bases__[0].__subclasses__() | tojson }} }', "unsafe"),
        ('{"a": {{ event.__init__.__globals__ | tojson }} }', "unsafe"),
        ('{% include "/etc/passwd" %}', "no loader"),
        ('{"a": "{% for i in range(10000000) %}x{% endfor %}"}', "Range too big"),
        ('{"a": "{% for i in range(99999) %}{{ "x" * 100 }}{% endfor %}"}', "more than"),
        # A terabyte, of which four megabytes are made.
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 100 }}"
            "{% endfor %}{% endfor %}",
            "more than",
        ),
        ('{"a": {{ 1 / 0 }} }', "ZeroDivisionError"),
        ('{"a": {{ event.update({}) | tojson }} }', "unsafe"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(text: str, why: str) -> None:
    with pytest.raises(BadTemplate, match=why):
        BodyTemplate(text, daemon_name="muttd-1")
