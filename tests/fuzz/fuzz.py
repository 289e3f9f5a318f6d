"""Feed one target for some seconds: by atheris, which sees which lines are reached, or hypothesis.

    python tests/fuzz/fuzz.py --engine atheris|hypothesis --seconds 30 TARGET

Exit code 0: nothing was found. Otherwise the octets that did it are on stderr, and atheris leaves
them in a file of the current directory as well.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

# Beyond it a datagram only repeats itself; a listener takes 64 KiB.
_MAX_OCTETS = 4096
# More than any of these needs: what grows without end is a fault.
_MAX_RSS_MIB = 1024
# One input that takes this long stalls a listener.
_MAX_INPUT_S = 5
_EXAMPLES = 200


def by_atheris(name: str, seconds: int) -> None:
    """Coverage-guided, from the seeds of the corpus. Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["muttd.protocol", "muttd.listeners", "muttd.rules"]):
        import targets

    target = targets.targets()[name]
    # Tables are read and keys are made before the clock of an input runs.
    for seed in target.seeds:
        target.feed(seed)
    with tempfile.TemporaryDirectory() as folder:
        for at, seed in enumerate(target.seeds):
            (Path(folder) / f"{at:04}").write_bytes(seed[:_MAX_OCTETS])
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={_MAX_OCTETS}",
            f"-rss_limit_mb={_MAX_RSS_MIB}",
            f"-timeout={_MAX_INPUT_S}",
            "-print_final_stats=1",
            folder,
        ]
        atheris.Setup([sys.argv[0], *options], target.feed)
        atheris.Fuzz()


def by_hypothesis(name: str, seconds: int) -> None:
    """Seeds with octets changed, moved, cut and put in; what fails is made as small as can be."""
    import targets
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    target = targets.targets()[name]
    edits = st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, _MAX_OCTETS), st.binary(max_size=8))
    )

    @st.composite
    def damaged(draw: st.DrawFn) -> bytes:
        octets = bytearray(draw(st.sampled_from(target.seeds)))
        for kind, where, piece in draw(edits):
            at = where % (len(octets) + 1)
            if kind == 0:
                octets[at : at + len(piece)] = piece
            elif kind == 1:
                octets[at:at] = piece
            elif kind == 2:
                del octets[at : at + 1 + len(piece)]
            elif kind == 3:
                octets[at:at] = octets[: len(piece) * 4]
            else:
                del octets[at:]
        return bytes(octets)

    tried = 0

    @settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=_MAX_INPUT_S * 1000,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged() | st.binary(max_size=256))
    def feed(octets: bytes) -> None:
        nonlocal tried
        tried += 1
        if time.monotonic() < until:
            target.feed(octets)

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        feed()
    print(f"{name}: {tried} inputs by hypothesis, nothing found")


def main() -> None:
    """Run one engine on one target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), required=True)
    parser.add_argument("--seconds", type=int, required=True)
    args = parser.parse_args()
    feed = by_atheris if args.engine == "atheris" else by_hypothesis
    feed(args.target, args.seconds)


if __name__ == "__main__":
    main()
