"""Random numbers for a GPU from the CPU's generator, so that both see the same."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

CPU = torch.device("cpu")


class DrawnOnCpu(TorchDispatchMode):
    """While the block runs, whatever draws on another device draws on the CPU, and what came is carried there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = _elsewhere([*args, *kwargs.values()])
        if device is None or torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        drawn = func(*tree_map(_to(CPU), args), **tree_map(_to(CPU), kwargs))
        if func._schema.is_mutable:  # normal_() and its like
            return args[0].copy_(drawn)
        return tree_map(_to(device), drawn)


def _elsewhere(values: list[Any]) -> torch.device | None:
    devices = [value.device if isinstance(value, Tensor) else value for value in values]
    return next((each for each in devices if isinstance(each, torch.device) and each.type != "cpu"), None)


def _to(device: torch.device) -> Any:
    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        return device if isinstance(value, torch.device) else value

    return moved
