"""One trial as a record: its state, parameters and values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The state of a trial, a final run, a grid cell or a whole study; the values are what people read."""

    RUNNING = "running"
    """Begun; without a driver it counts as interrupted, and the next driver goes on with it."""
    COMPLETE = "complete"
    PRUNED = "pruned"
    """Stopped early, since others did better."""
    FAIL = "failed"
    INTERRUPTED = "interrupted"
    """Of a study whose driver was told to stop (Ctrl-C); the same command goes on with it."""


ENDED = (State.COMPLETE, State.PRUNED, State.FAIL)
"""The states that are for good."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as a study's record holds it."""

    number: int
    state: State
    params: dict[str, Any]
    value: float | None = None
    """Its final value by the study's metric, of a complete one."""
    values: dict[int, float] = field(default_factory=dict)
    """The reported values by epoch."""
    inference: dict[str, Any] = field(default_factory=dict)
    """The settings of inference that its best evaluation was made with, where a grid of them was swept."""
    reason: str | None = None
    """Why it failed: one line, then perhaps a traceback."""
