"""A step's dense arrays do not come from the system anew each time."""

import subprocess
import sys

import pytest

PAGES = 5000  # of 4 KiB: 20 MB
SCRIPT = f"""
import resource
import torch
from unblur.training.allocator import keep_freed_memory

def step():
    first = torch.ones({PAGES} * 1024)
    second = first + 1
    del first, second

known = keep_freed_memory()
for _ in range(5):  # until the heap has taken its form
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(known, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_arrays_taken_again_fault_no_pages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    known, faults = done.stdout.split()
    if known == "False":
        pytest.skip("the C library is not glibc")
    assert int(faults) < 4 * PAGES  # without it 20: two for each of the ten steps
