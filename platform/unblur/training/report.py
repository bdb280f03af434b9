"""Typed reports of a training: its evaluations, and its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progress:
    """One evaluation on the validation set."""

    epoch: int
    """Epochs trained so far."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Validation metrics of this epoch by name (`ndcg_at_10`); empty in the last report of a training that was
    evaluated on a sample of users, which brings `best` alone."""
    best: float | None = None
    """The training's value if it ended here, by all users; None as long as only a sample of them was evaluated."""
    inference: Mapping[str, Any] = field(default_factory=dict)
    """Inference settings of the best evaluation so far, where there is a grid of them."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """`loss`, `seconds`, `parameters`, `memory_mib`, `efficiency`, W of a CPU and a GPU (`energy`): those known."""


@dataclass(frozen=True)
class Finished:
    """The end of a training."""

    reason: str | None = None
    """Why it cannot succeed, also not when tried again (NaN, out of memory); None when it was trained."""
    diverged: str | None = None
    """How a training that was evaluated before came to its end, its loss or scores no longer finite."""


Report = Callable[[Progress], None]
"""Receives each evaluation while a training runs. To stop the training, end it from outside or raise."""
