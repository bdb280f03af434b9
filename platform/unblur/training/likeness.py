"""Whether a checkpoint is of such a training: of the same training version, with the same tensors and fields.

Another version of a model may name or shape its weights otherwise, and one of the loop keep other things beside them.
Such a checkpoint is whole, and of no more use than a damaged one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, optim

from unblur.training.checkpoints import Checkpoint

MOMENTS = "optimizer/"


def like(own: Checkpoint, optimizer: optim.Optimizer) -> Callable[[Checkpoint], None]:
    """A check that raises ValueError, with the first difference, for a checkpoint that does not fit a training.

    own: the state in which the training begins; of its optimiser's moments it knows nothing yet.
    """
    parameters = [each.shape for group in optimizer.param_groups for each in group["params"]]

    def check(found: Checkpoint) -> None:
        theirs, mine = (each.meta.get("training") for each in (found, own))
        if theirs != mine:
            raise ValueError(f"it is of training version {theirs}, and this is {mine}")
        _same("it keeps", _fields(found.meta), _fields(own.meta))
        _same("it holds", _layout(found.tensors), _layout(own.tensors))
        for name, moment in found.tensors.items():
            if name.startswith(MOMENTS) and moment.ndim:
                index = int(name.split("/")[1])
                if index >= len(parameters) or moment.shape != parameters[index]:
                    raise ValueError(f"{name} {tuple(moment.shape)} is a moment of no parameter")

    return check


def _same(what: str, theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    for name in sorted({*theirs, *mine}):
        if theirs.get(name) != mine.get(name):
            found, expected = (each.get(name, "nothing") for each in (theirs, mine))
            raise ValueError(f"{what} other things: {name} is {found}, expected {expected}")


def _fields(meta: Mapping[str, Any]) -> dict[str, str]:
    best = meta.get("best")
    return dict.fromkeys([*meta, *(f"best.{name}" for name in best or ())], "kept")


def _layout(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(MOMENTS)}
    return {name: f"{tensor.dtype} {tuple(tensor.shape)}".removeprefix("torch.") for name, tensor in rest.items()}
