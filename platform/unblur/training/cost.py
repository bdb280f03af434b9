"""Cost of training one configuration, estimated without allocating its weights."""

from dataclasses import dataclass
from typing import Any

import torch

from unblur import models
from unblur.data.dataset import Dataset
from unblur.models.base import Operations, TrainableRecommender


@dataclass(frozen=True)
class Estimate:
    """Memory, disk and arithmetic that the training of one configuration needs."""

    memory: int
    """Peak bytes above the interpreter's own."""
    weights: int
    """Bytes of what a checkpoint holds once."""
    operations: Operations
    """Of the fit, or of one epoch."""


def estimate(name: str, params: dict[str, Any], dataset: Dataset) -> Estimate:
    """The cost of model `name` with `params` on `dataset`; UserError when the model refuses the parameters."""
    config = models.configure(name, params, "search space")
    with torch.device("meta"):
        model = models.model_class(name)(config, dataset.n_users, dataset.n_items)
    tensors = model.state_dict().values() if isinstance(model, TrainableRecommender) else []
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return Estimate(model.footprint(dataset), weights, model.operations(dataset))
