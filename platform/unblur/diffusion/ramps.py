"""Ramps of guidance: each public function says which share of it a step has, from progress 0 (noisiest) to 1 (last)."""

import math

from unblur.registry import functions


def constant(progress: float) -> float:
    """The whole of it at every step."""
    return 1.0


def linear(progress: float) -> float:
    """In proportion to the progress."""
    return progress


def cosine(progress: float) -> float:
    """Slow at both ends."""
    return (1 - math.cos(math.pi * progress)) / 2


RAMPS = functions("ramp", __name__)
