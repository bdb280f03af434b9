"""How fast this machine is, measured in a moment, so that a run can say beforehand about how long it will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_matrix, random_array

from unblur.models.base import Operations

SIDE = 1024
REPEATS = 3


@dataclass(frozen=True)
class Speed:
    """Operations per second, of one training's share of this machine."""

    products: float
    elements: float

    def seconds(self, operations: Operations) -> float:
        """About how long that takes, give or take a factor of two."""
        return operations.products / self.products + operations.elements / self.elements


@cache
def measured(threads: int) -> Speed:
    """This machine's speed when `threads` threads of it are free; measured with one, in about a tenth of a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
        drawn = random_array((SIDE, SIDE), density=0.05, dtype=np.float32, rng=np.random.default_rng(0))
        sparse = csr_matrix(drawn)
        pairs = float(np.diff(sparse.indptr) @ np.bincount(sparse.indices, minlength=SIDE))
        products = SIDE**3 / _fastest(lambda: a @ b)
        return Speed(threads * products, threads * pairs / _fastest(lambda: sparse @ sparse))
    finally:
        torch.set_num_threads(before)


def _fastest(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some repeats: others on the machine only ever slow it down."""
    taken = []
    for _ in range(REPEATS):
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return max(min(taken), 1e-9)
