"""The workers that train one model together: one, or a torch.distributed process group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from unblur.models.base import Batch, Recommender, TrainableRecommender

M = TypeVar("M", bound=Recommender[Any])


@dataclass(frozen=True)
class Workers:
    """This process's place among `world` workers. The default is the only one."""

    rank: int = 0
    world: int = 1
    notice: Callable[[], bool] = lambda: False
    """Whether a machine of theirs is about to be taken away; all workers must ask equally often."""

    def wrap(self, model: TrainableRecommender[Any]) -> Callable[[Any], Tensor]:
        """The model's `forward`, whose backward pass averages gradients over the workers."""
        return model if self.world == 1 else DistributedDataParallel(model)

    def step(self, forward: Callable[[Any], Tensor], optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
        """One step of the optimiser on this worker's share of the batch; its losses (b,), without a graph."""
        optimizer.zero_grad(set_to_none=True)
        losses = forward(batch.examples)
        # the workers' gradients are averaged, so each counts its share of the whole batch times their number
        (losses.sum() * (self.world / batch.size)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return losses.detach()

    def total(self, values: Tensor) -> Tensor:
        """The sum over the workers, elementwise."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values


def process_group() -> Workers:
    """The place in the process group that Ray Train (or torchrun) has set up; alone without one."""
    if not distributed.is_initialized():
        return Workers()
    return Workers(distributed.get_rank(), distributed.get_world_size())


def best_device(model: Recommender[Any]) -> torch.device:
    """The GPU when there is one; those fitted in closed form stay on the CPU."""
    return torch.device("cuda" if isinstance(model, TrainableRecommender) and torch.cuda.is_available() else "cpu")


def on_best_device(model: M) -> M:
    """The model where it is trained and scored best."""
    if isinstance(model, TrainableRecommender):
        model.to(best_device(model))
    return model
