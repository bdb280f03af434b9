"""Freed memory stays with the process: a training step takes and gives back the same dense arrays again and again.

glibc hands large blocks back to the system at once, as its mood and the heap's layout have it; the system zeroes every
page of the next one. That was measured as nothing or as 3% of a step, by chance.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 64 * 2**20
"""Bytes: larger blocks still come from the system and go back to it."""
KEPT = 4 * LARGEST
"""Free bytes at the heap's end beyond which they are given back."""


def keep_freed_memory() -> bool:
    """Set glibc's thresholds for this process; False where the C library is another."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, KEPT))


def give_back_freed_memory() -> None:
    """Hand what is free to the system, so that what a process has is what it uses; nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
