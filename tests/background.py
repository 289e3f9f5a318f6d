"""Work in a thread of its own, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def running(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work`, which returns soon after its event is set, as it is at the end of the block."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
