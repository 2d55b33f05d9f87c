"""Give memory back to the system: what many threads have freed stays with glibc's arenas otherwise, hundreds of megabytes."""

import ctypes
import gc
from functools import cache


@cache
def _trim() -> "ctypes._NamedFuncPointer | None":
    """glibc's malloc_trim; None where there is none."""
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


def release() -> None:
    """Collect what is garbage, and give back what is free."""
    gc.collect()
    if (trim := _trim()) is not None:
        trim(0)
