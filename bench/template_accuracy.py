"""Does a template hold together what belongs together, and how long does it take?

    PYTHONPATH=.:tests/rules python bench/template_accuracy.py [--show]

Grouping accuracy over tests/corpus/templates: the part of the messages whose template is shared by
all messages of their label, and by no other.
"""

from __future__ import annotations

import argparse
import time

from template_corpus import CORPUS, misgrouped, samples_of

from muttd.rules.template import Templates, template_of

_ROUNDS = 20


def main() -> None:
    """Print the accuracy and the cost, file by file and together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="what is wrong, one line each")
    arguments = parser.parse_args()
    total, wrong_count, texts = 0, 0, []
    for path in sorted(CORPUS.glob("*.txt")):
        samples = samples_of(path)
        wrong = misgrouped(samples)
        total, wrong_count = total + len(samples), wrong_count + len(wrong)
        texts += [text for _, text in samples]
        print(f"{path.stem:8} {len(samples):4} messages, {1 - len(wrong) / len(samples):.4f}")
        if arguments.show:
            for label, text in wrong:
                print(f"    {label:20} {template_of(text)}")
    print(f"{'all':8} {total:4} messages, {1 - wrong_count / total:.4f}")
    for name, mask in (("template_of", template_of), ("Templates.of", Templates().of)):
        started = time.process_time()
        for _ in range(_ROUNDS):
            for text in texts:
                mask(text)
        took_us = (time.process_time() - started) / _ROUNDS / len(texts) * 1e6
        print(f"{name:12} {took_us:.1f} us a message of {sum(map(len, texts)) / len(texts):.0f}")


if __name__ == "__main__":
    main()
