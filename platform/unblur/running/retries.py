"""How often a trial that went wrong is begun again: that depends on what went wrong."""

from typing import Literal

Fault = Literal["code", "process", "node"]
"""The trial's code raised, its process died, or the machine below it went away."""
TOLD: dict[Fault, str] = {"code": "its code failed", "process": "its process died", "node": "its node went away"}
"""The faults for people."""

AGAIN: dict[Fault, int] = {"code": 1, "process": 2, "node": 100}
"""Code that fails twice will fail a third time. A process may die of what runs beside it. The loss of a machine says
nothing of the trial; the bound is for a trial that takes every machine down with it."""

_NODE_LOST = (
    "its node has died",
    # what is seen first when a machine vanishes: its end of the connection, before Ray has noticed why
    "may or may not have been executed on the actor",
    "ActorUnavailableError",
    "NodeDiedError",
    "PreemptionError",
)
_PROCESS_LOST = (
    "actor died",
    "actor is dead",
    "ActorDiedError",
    "WorkerCrashedError",
    "ray.exceptions.OutOfMemoryError",
)


def fault_of(failure: str) -> Fault:
    """Whose fault a failure was, told from Ray's own text; a death among errors is the cause of the others."""
    if any(sign in failure for sign in _NODE_LOST):
        return "node"
    return "process" if any(sign in failure for sign in _PROCESS_LOST) else "code"


def may_try_again(fault: Fault, earlier: int) -> bool:
    """Whether a trial with `earlier` failures of this kind is begun again after another one."""
    return earlier < AGAIN[fault]
