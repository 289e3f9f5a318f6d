"""Labelled messages of sshd, the Linux kernel, Cisco IOS and ASA, Windows and Java.

tests/corpus/templates/SYSTEM.txt: LABEL TAB MESSAGE, written for this in those systems' published
formats. Messages of one label say the same of different users, addresses, devices and numbers.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from muttd.rules.template import template_of

CORPUS = Path(__file__).parent.parent / "corpus" / "templates"

Sample = tuple[str, str]


def samples_of(path: Path) -> list[Sample]:
    """(label, message) of one file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(label, text) for label, _, text in (line.partition("\t") for line in lines)]


def misgrouped(samples: list[Sample]) -> list[Sample]:
    """Those whose template is not shared by all messages of their label, and by no others.

    Grouping accuracy is the part that is not in here.
    """
    by_label, by_template = defaultdict(set), defaultdict(set)
    for number, (label, text) in enumerate(samples):
        by_label[label].add(number)
        by_template[template_of(text)].add(number)
    return [
        (label, text)
        for label, text in samples
        if by_label[label] != by_template[template_of(text)]
    ]
