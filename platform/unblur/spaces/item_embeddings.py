"""Embeddings of items: x_0 is that of the item which comes next (DreamRec, Yang et al. 2023, section 3.1)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from unblur import spaces
from unblur.nn.embedding import EmbeddingConfig
from unblur.nn.onednn import linear
from unblur.nn.sparse import TINY, owners, project, row_sums, with_values
from unblur.spaces import Target


class Config(EmbeddingConfig):
    """Their width, which is that of x_0, and their scale."""

    item_std: float = Field(1.0, gt=0)
    """Deviation of the numbers that they begin with. 1, DreamRec's and DiffuRec's, is that of the noise. A loss over
    all items then spends its first epochs on the way to a uniform distribution, near which a tenth begins."""


class Space(spaces.Space):
    """E (n_items, embedding_dim), drawn from N(0, item_std^2) and learned: gradients reach it through x_0 and x_0_hat.

    The scores of x_0_hat are x_0_hat E^T. A chain starts from zero, of which T' forward steps make noise.
    """

    SIGNED = False

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        self.dim, self.item_std = config.embedding_dim, config.item_std
        self.items = nn.Parameter(self.item_std * torch.randn(n_items, self.dim))

    @property
    def item_table(self) -> nn.Parameter:
        return self.items

    def target(self, rows: Tensor) -> Target:
        """The embedding of a row's item, or the mean of those of several, weighted as they are."""
        weights = rows.values() / row_sums(rows, rows.values()).clamp(min=TINY)[owners(rows)]
        return Target(project(with_values(rows, weights), self.items))

    def start(self, rows: Tensor) -> Tensor:
        return rows.values().new_zeros(rows.shape[0], self.dim)

    def scores(self, x_0: Tensor) -> Tensor:
        return linear(x_0, self.items)
