"""muttd/workers/body_template.py: operators' templates."""

from __future__ import annotations

import json
import resource

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


BIG = "{% set ns = namespace(t='x') %}{% for i in range(60) %}{% set ns.t = STEP %}{% endfor %}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10**10 }}",
        "{{ 10**10 * 'x' }}",
        "{{ ([1] * 10**10) | length }}",
        "{{ (9**9)**(9**9) }}",
        BIG.replace("STEP", "ns.t ~ ns.t"),
        BIG.replace("STEP", "ns.t + ns.t"),
        BIG.replace("STEP", "ns.t | replace('x', 'xx')"),
        BIG.replace("STEP", "(ns.t ~ 'x') | tojson | tojson"),
        BIG.replace("STEP", "[ns.t, ns.t] | join"),
        BIG.replace("STEP", "ns.t.replace('x', 'xx')"),
        BIG.replace("'x'", "9").replace("STEP", "ns.t * ns.t"),
        "{{ 'x' | center(10**10) }}",
        "{{ 'x' | indent(10**10, true) }}",
        "{{ 'x' | indent(width=10**10, first=true) }}",
        "{{ 'x'.ljust(10**10) }}",
        "{{ 'x'['center'](10**10) }}",
        "{{ ('x' | attr('zfill'))(10**10) }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%*d' | format(10**10, 1) }}",
        "{{ 1 | round(-10**9) }}",
        "{{ [1] | batch(10**10, 0) | list | length }}",
        "{{ [1] | slice(10**10) | list | length }}",
        "{{ (1).to_bytes(10**10) | length }}",
        "{{ lipsum(n=10**9) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% set t %}{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endset %}",
        "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n }}{% endmacro %}{{ m(60) }}",
    ],
)
def test_no_expression_takes_more_than_there_is(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadTemplate, match=r"more than|unsafe|undefined"):
        BodyTemplate(text, daemon_name="muttd-1")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 200 * 1024


def test_what_is_not_much_is_made() -> None:
    text = """{
      "sum": {{ 2 ** 10 * 3 + 1 }}, "share": {{ 17 % 5 }}, "line": {{ ("-" * 20) | tojson }},
      "text": {{ "%s on %-6s" | format(description, source) | replace("Gi", "Gigabit") | tojson }},
      "list": {{ ([1] + [2] * 2) | join(", ") | tojson }}, "mean": {{ 3.14159 | round(2) }},
      "pages": {{ [1, 2, 3] | batch(2) | list | tojson }},
      {% macro quoted(x) %}{{ (x ~ "!") | tojson }}{% endmacro %}"said": {{ quoted(team) }},
      {% set about %}{{ source }}: {{ severity }}{% endset %}"about": {{ about | upper | tojson }}
    }"""
    [alert, _] = samples()
    body = json.loads(BodyTemplate(text, daemon_name="muttd-1")(alert))
    assert (body["sum"], body["share"], body["mean"]) == (3073, 2, 3.14)
    assert "Gigabit0/1" in body["text"]
    assert (body["list"], body["pages"]) == ("1, 2, 2", [[1, 2], [3]])
    assert (body["said"], body["about"]) == ("NETO!", "SW1.EXAMPLE.NET: 4")
