"""Ridge head: the encoder of a trained diffusion model as it is, and in place of its chain a regression in closed form.

With a linear denoiser a whole chain is x_0 = h B + c (`unblur.diffusion.affine_chain`), so that such a model is an
encoder with a linear head, learned through diffusion. This is the control: the same h and the same embeddings E of
items, and the B and c that least squares with a ridge find for the items that come next. What the chain gains over it,
diffusion gains; what both gain over other models, their encoder does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from unblur.data.dataset import Dataset, History
from unblur.diffusion.condition import Condition
from unblur.models.base import ModelConfig, Operations, Recommender
from unblur.models.closed_form._linear import Stored
from unblur.models.closed_form._named import Named
from unblur.models.closed_form._trained_part import TrainedModel, TrainedPart
from unblur.models.diffusion._examples import weighted
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.nn.onednn import linear
from unblur.nn.sparse import dense
from unblur.pairings import Pairs
from unblur.parts import ORDER

HEAD = "head"
"""In a saved model's file, beside the weights of the model that it is put on."""


class Encoded(Named):
    """`{model: dreamrec, params: {embedding_dim: 128}}`."""

    ROLE = "what a head is put on: only diffusion on item embeddings with an encoder and a linear denoiser"

    @classmethod
    def admits(cls, known: type[Recommender[Any]]) -> bool:
        return issubclass(known, DiffusionRecommender)

    def config(self) -> Any:
        config = super().config()
        if config.space != "item_embeddings" or config.denoiser != "linear" or config.encoder == "none":
            raise ValueError(f"{self.model} with these parameters cannot be {self.ROLE} can")
        return config


class Config(ModelConfig):
    """The model whose encoder is taken, for how long it is trained, and the ridge."""

    NEEDS = frozenset({ORDER})

    of: Encoded = Encoded(model="dreamrec")
    """A model's name and parameters."""
    epochs: int = Field(20, ge=1)
    """Epochs of its training."""
    l2: float = Field(1.0, gt=0)
    """The ridge, on the squares of B alone."""


class Model(Stored[Config]):
    """Scores are (h B + c) E^T; `head` (d, size + 1) has B^T and c."""

    config_class = Config
    RANDOM = True

    def __init__(self, config: Config, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        (trained,) = self.artefacts(config)
        self.part = TrainedPart(trained, config.of.config(), n_users, n_items, seed)
        self.head = torch.zeros(0)

    @classmethod
    def artefacts(cls, config: Config) -> Sequence[TrainedModel]:
        return (TrainedModel.of(config.of.model, config.of.config(), config.epochs),)

    @property
    def inner(self) -> DiffusionRecommender:
        """The model that the head is put on."""
        return cast(DiffusionRecommender, self.part.model)

    @torch.no_grad()
    def fit(self, dataset: Dataset) -> None:
        self.part.fit(dataset)
        config = self.inner.config
        size, dim = config.part("encoder").Encoder.size(self.n_items, config), self.inner.space.dim
        gram, cross = torch.zeros(size + 1, size + 1).double(), torch.zeros(size + 1, dim).double()
        for batch in self.inner.batches(dataset, 0):
            h, e = self._vectors(batch.examples.condition).double(), self.inner.space.target(batch.examples.rows).x_0
            gram, cross = gram.addmm_(h.T, h), cross.addmm_(h.T, e.double())
        ridge = torch.full((size + 1,), self.config.l2).double()
        ridge[-1] = 0  # that of c
        self.head = torch.linalg.solve(gram + torch.diag(ridge), cross).T.float().contiguous()

    @torch.no_grad()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        pairs, w_min = Pairs.by_user(history, history), self.inner.guidance.config.condition_w_min
        _, condition = weighted(self.inner.config, pairs, w_min).on(torch.device("cpu"))
        return self.inner.space.scores(linear(self._vectors(condition), self.head))

    def tensors(self) -> dict[str, Tensor]:
        return {HEAD: self.head, **self.part.tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.head = tensors[HEAD]
        self.part.restore({name: each for name, each in tensors.items() if name != HEAD})

    def footprint(self, dataset: Dataset) -> int:
        return self.part.footprint(dataset)

    def operations(self, dataset: Dataset) -> Operations:
        """One pass of the encoder, a third of an epoch; its training is an artefact."""
        return self.inner.operations(dataset)

    def _vectors(self, condition: Condition) -> Tensor:
        """h of a condition, and a 1 behind it (b, size + 1)."""
        encoder: Any = self.inner.network.encoder
        return F.pad(dense(encoder.read(condition)), (0, 1), value=1.0)
