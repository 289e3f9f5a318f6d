"""Rules as text, for `muttd rules export` and `import`.

    rules:
    - name: link down
      match_string: LINK-3-UPDOWN
      prod_handling: Page_and_ticket
      ...

JSON has the same shape. Only what a client may write is in it: no ids, no times; and of that only
what is not the default. A list without "rules:" around it is read, too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import yaml

from muttd.errors import InvalidInput
from muttd.rules.model import Rule, RuleDraft, RulePlan
from muttd.rules.validate import draft_rule

Form = Literal["yaml", "json"]


def rules_to_yaml(rules: Iterable[RuleDraft]) -> str:
    """Write rules as YAML."""
    return yaml.safe_dump(_document(rules), sort_keys=False, allow_unicode=True)


def rules_to_json(rules: Iterable[RuleDraft]) -> str:
    """Write rules as JSON."""
    return json.dumps(_document(rules), indent=2, ensure_ascii=False) + "\n"


def drafts_from_text(text: str, *, form: Form) -> list[RuleDraft]:
    """Read rules and validate every one of them.

    Raises:
        InvalidInput: The text is not of this form, or any rule is wrong; every wrong field of
            every rule is named, as "rules[3].priority", counted from 0.
    """
    items = _items(_parsed(text, form))
    drafts: list[RuleDraft] = []
    problems: list[tuple[str, str]] = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            problems.append((f"rules[{index}]", "must be an object with the fields of a rule"))
            continue
        try:
            drafts.append(draft_rule(item))
        except InvalidInput as exc:
            problems += [(f"rules[{index}].{field}", what) for field, what in exc.problems]
    if problems:
        raise InvalidInput(problems)
    return drafts


def plan_import(
    present: Sequence[Rule], wanted: Sequence[RuleDraft], *, replaces: bool
) -> RulePlan:
    """What an import does: rules are the same when their names are.

    Of rules with one name the first in the file is the first here, in (priority, id) order, and
    so on: importing what was exported changes nothing.

    Args:
        present: The rules that are here, in (priority, id) order.
        wanted: Those of the file.
        replaces: Whether a rule that the file does not have goes.

    Raises:
        InvalidInput: It cannot be told which of several rules with one name is meant.
    """
    named: dict[str, list[Rule]] = {}
    for rule in present:
        named.setdefault(rule.name, []).append(rule)
    counts = Counter(draft.name for draft in wanted)
    problems: list[tuple[str, str]] = []
    create: list[RuleDraft] = []
    update: list[tuple[Rule, RuleDraft]] = []
    for index, draft in enumerate(wanted):
        namesakes = named.get(draft.name, [])
        if not replaces and len(namesakes) > 1 and counts[draft.name] != len(namesakes):
            ids = ", ".join(str(rule.id) for rule in namesakes)
            problems.append((f"rules[{index}].name", f"several rules have it, rename them: {ids}"))
            counts[draft.name] = len(namesakes)
        elif namesakes:
            update.append((namesakes.pop(0), draft))
        else:
            create.append(draft)
    if problems:
        raise InvalidInput(problems)
    changed = tuple((rule, draft) for rule, draft in update if _draft_of(rule) != draft)
    left = tuple(rule for rules in named.values() for rule in rules)
    return RulePlan(
        create=tuple(create),
        update=changed,
        delete=left if replaces else (),
        unchanged=len(update) - len(changed),
    )


def _draft_of(rule: Rule) -> RuleDraft:
    return RuleDraft(**{name: getattr(rule, name) for name in RuleDraft.__struct_fields__})


def _document(rules: Iterable[RuleDraft]) -> dict[str, list[dict[str, Any]]]:
    return {"rules": [_written(rule) for rule in rules]}


def _written(rule: RuleDraft) -> dict[str, Any]:
    fields = msgspec.structs.fields(RuleDraft)
    values = {field.name: getattr(rule, field.name) for field in fields}
    defaults = {field.name: field.default for field in fields}
    # to_builtins: enumerations become the words that a person writes.
    written: dict[str, Any] = msgspec.to_builtins(
        {
            name: value
            for name, value in values.items()
            # How a text is compared is said even where it is the default: rules are read, too.
            if value != defaults[name] or (name == "match_type" and rule.match_string is not None)
        }
    )
    return written


def _parsed(text: str, form: Form) -> object:
    try:
        document: object = json.loads(text) if form == "json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as exc:
        raise InvalidInput([("rules", f"not {form.upper()}: {exc}")]) from exc
    except RecursionError as exc:
        raise InvalidInput([("rules", f"{form.upper()} that is nested too deeply")]) from exc
    return document


def _items(document: object) -> list[object]:
    items = document
    if isinstance(document, dict):
        unknown = [str(key) for key in document if key != "rules"]
        if unknown or "rules" not in document:
            what = f"only rules is known, not {', '.join(unknown)}" if unknown else "is missing"
            raise InvalidInput([("rules", what)])
        items = document["rules"]
    if not isinstance(items, list):
        raise InvalidInput([("rules", "must be a list of rules")])
    return items
