"""Seeds derived from seeds: the same on every machine, in every process, whatever runs beside them."""

from hashlib import sha256

import numpy as np


def derive(purpose: str, seed: int, *numbers: int) -> int:
    """A 32-bit seed for one purpose ("training", "sampling", a parameter's name) and place (a trial's number)."""
    text = ":".join([purpose, *map(str, (seed, *numbers))])
    return int.from_bytes(sha256(text.encode()).digest()[:4])


def epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """A 63-bit seed for PyTorch's draws in one epoch of a training on one worker (`rank`, from 0)."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> 1)
