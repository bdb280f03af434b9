"""What a toy trial needs, in a module that its process has imported at once: PyTorch takes seconds."""

from types import SimpleNamespace
from typing import Any


def value(params: dict[str, Any], epoch: int) -> float:
    """The value of a configuration after some epochs."""
    return float(1 - (params["x"] - 0.3) ** 2 - 1 / epoch)


def task(params: dict[str, Any]) -> Any:
    """A task that nobody runs: Tune's function looks at its parameters."""
    return SimpleNamespace(params=params)


def params(config: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the task in the config of a Tune function."""
    found: dict[str, Any] = config["task"].params
    return found
