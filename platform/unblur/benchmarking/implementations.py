"""Who is compared: each trains the same network on the same rows and ranks for the same users."""

import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.models.diffusion import diffrec
from unblur.training.allocator import keep_freed_memory
from unblur.training.loop import Training, TrainingSchedule
from unblur.training.workers import Workers

Weights = Mapping[str, Tensor]
"""Of the network, by the names that ours has for them."""
Metrics = dict[str, float]
Answer = TypeVar("Answer")


class Contestant(Protocol):
    """DiffRec in some implementation, on one split."""

    def load(self, weights: Weights, steps: int) -> None:
        """Start over with T = `steps` and these weights."""

    def train_epoch(self) -> float:
        """Train for one epoch; its seconds."""

    def evaluate(self) -> tuple[float, Metrics]:
        """Rank for the users of the validation set; the seconds, and the metrics by their names in code."""


class Ours:
    """The project's own, through the loop and the ranking that every trial uses."""

    def __init__(self, dataset: Dataset, hidden: int, batch_size: int) -> None:
        self.dataset, self.params = dataset, {"dims": (hidden,), "batch_size": batch_size}
        self._begin(1)

    def _begin(self, steps: int) -> None:
        self.model = self._made(steps)
        keep_freed_memory()  # as every worker does
        self.training = Training(self.model, self.dataset, TrainingSchedule(), lambda _: None, None, Workers())

    def _made(self, steps: int) -> Any:
        config = diffrec.Config.model_validate({**self.params, "T": steps})
        return diffrec.Model(config, self.dataset.n_users, self.dataset.n_items)

    @property
    def network(self) -> nn.Module:
        """What has the weights that all contestants share."""
        network: nn.Module = self.model.network
        return network

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def load(self, weights: Weights, steps: int) -> None:
        self._begin(steps)
        self.network.load_state_dict(dict(weights))

    def train_epoch(self) -> float:
        return timed(self.training.train_epoch)[0]

    def evaluate(self) -> tuple[float, Metrics]:
        return timed(lambda: validate(self.model, self.dataset).metrics())


class Textbook:
    """The plain implementation in `file`."""

    def __init__(self, dataset: Dataset, hidden: int, batch_size: int, file: Path) -> None:
        self.dataset, self.sizes, self.module = dataset, (dataset.n_items, hidden), _module(file)
        self.batch_size = batch_size
        self.model: Any = None

    def load(self, weights: Weights, steps: int) -> None:
        self.model = self.module.DiffRec(*self.sizes, T=steps, batch_size=self.batch_size)
        self.model.load(weights)

    def train_epoch(self) -> float:
        return timed(lambda: self.model.train_epoch(self.dataset.train))[0]

    def evaluate(self) -> tuple[float, Metrics]:
        return timed(lambda: self.model.evaluate(self.dataset.train, self.dataset.valid))


class Products:
    """No recommender: the five matrix products of a training step alone, which bound any implementation.

    Forward x W1 and h W2^T; backward the gradients of W2, of h and of W1.
    """

    def __init__(self, n_users: int, n_items: int, hidden: int, batch_size: int) -> None:
        self.sizes = [min(batch_size, n_users - start) for start in range(0, n_users, batch_size)]
        self.x, self.of_output = (torch.randn(batch_size, n_items) for _ in range(2))
        self.h, self.of_h = (torch.randn(batch_size, hidden) for _ in range(2))
        self.w_in, self.w_out = (torch.randn(n_items, hidden) for _ in range(2))

    def train_epoch(self) -> float:
        return timed(self._epoch)[0]

    def _epoch(self) -> None:
        for size in self.sizes:
            x, of_output, h, of_h = (each[:size] for each in (self.x, self.of_output, self.h, self.of_h))
            for left, right in ((x, self.w_in), (h, self.w_out.T), (of_output.T, h), (of_output, self.w_out)):
                left @ right
            x.T @ of_h


def timed(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """The seconds that `work` takes, and its answer."""
    started = time.perf_counter()
    answer = work()
    return time.perf_counter() - started, answer


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("textbook", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise UserError(f"--textbook {file} is not there: it is tests/textbook/diffrec.py of the repository")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
