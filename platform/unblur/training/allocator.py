"""Freed memory stays with the process: a training step takes and gives back the same dense arrays again and again.

glibc hands large blocks back to the system at once, as its mood and the heap's layout have it; the system zeroes every
page of the next one. That was measured as nothing or as 3% of a step, by chance.
"""

import ctypes
import mmap

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 64 * 2**20
"""Bytes: larger blocks still come from the system and go back to it."""
KEPT = 4 * LARGEST
"""Free bytes at the heap's end beyond which they are given back."""
LEAST = 2**20
"""Free bytes at the heap's end that are worth giving back by hand."""


def keep_freed_memory() -> bool:
    """Set glibc's thresholds for this process; False where the C library is another."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, KEPT))


def give_back_freed_memory() -> None:
    """Hand what is free to the system, so that what a process has is what it uses; nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
        _give_back_the_end()


class _Mallinfo(ctypes.Structure):
    """What mallinfo2(3) returns; its last field is the free bytes at the heap's end."""

    _fields_ = [(f"field{place}", ctypes.c_size_t) for place in range(9)] + [("keepcost", ctypes.c_size_t)]


def _give_back_the_end() -> None:
    """The free end of a heap that could not grow in place, for another mapping lay behind it: malloc_trim keeps that.

    The end is taken as one block, its pages are given back, and it is free again. Nothing is done before glibc 2.33.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mallinfo2.restype = _Mallinfo
    size = libc.mallinfo2().keepcost - mmap.PAGESIZE  # room for malloc's own beside it
    if size < LEAST or not (block := libc.malloc(size)):
        return
    first, end = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE, (block + size) // mmap.PAGESIZE * mmap.PAGESIZE
    libc.madvise(first, end - first, mmap.MADV_DONTNEED)
    libc.free(block)
