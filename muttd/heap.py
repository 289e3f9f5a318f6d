"""The C library's heap: what it keeps after a peak is memory that nobody else can have."""

from __future__ import annotations

import ctypes

# malloc_trim(3) of glibc; other C libraries have none.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give the kernel back what was freed and is kept in reserve; takes milliseconds."""
    if _trim is not None:
        _trim(0)
