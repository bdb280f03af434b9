"""BERT4Rec: a transformer that looks both ways fills in what is masked (Sun et al., CIKM 2019).

Training masks items of a history at random and asks for them; inference appends one masked place to the history. As in
the authors' code (gen_data_fin.py, run.py of FeiSun/BERT4Rec) so many of a window are masked as the share says and at
least one, a layer of its own with a norm stands before the item table, and items have biases. Theirs masks a window in
ten ways and once at its end, which is `last_share` = 1/11, and cuts long histories into windows that overlap.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.models.sequential._sequence_model import Ids, SequenceModel
from unblur.models.sequential._transformer import TransformerConfig
from unblur.nn.transformer import Transformer


class Config(TransformerConfig):
    """The paper's network, with pre-norm blocks; its own loss is cross_entropy over all items."""

    max_length: int = Field(50, ge=2)
    """Places of a window; in inference the last of them is the one that is asked for."""
    mask_share: float = Field(0.4, gt=0, le=1)
    """Share of a window's items that are masked, at least one. The authors' best: 0.2 (ML-1M) to 0.6 (Beauty)."""
    last_share: float = Field(0.1, ge=0, le=1)
    """Share of the windows of which the last item alone is masked, as in inference."""


class Model(SequenceModel[Config]):
    """Scores are GELU(W h) E^T + b, h being what comes out at a masked place (eq. 7), and a norm after GELU."""

    config_class = Config

    def build(self) -> None:
        super().build()
        dim = self.config.dim
        self.mask, self.bias = nn.Parameter(0.02 * torch.randn(dim)), nn.Parameter(torch.zeros(self.n_items))
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.LayerNorm(dim))

    def make_encoder(self) -> Transformer:
        return self.config.transformer(causal=False)

    @property
    def masked(self) -> int:
        """The id that stands for an item which is not shown."""
        return self.n_items + 1

    @property
    def room(self) -> int:
        return self.config.max_length - 1

    @property
    def asked(self) -> float:
        return self.config.mask_share

    @property
    def table(self) -> Tensor:
        """The items' embeddings, and their biases as one number more (n_items, dim + 1)."""
        return torch.cat([self.items, self.bias.unsqueeze(1)], dim=1)

    def embedded(self, items: Tensor) -> Tensor:
        return torch.where((items == self.masked).unsqueeze(-1), self.mask, super().embedded(items))

    def decode(self, hidden: Tensor) -> Tensor:
        return F.pad(self.head(hidden), (0, 1), value=1.0)

    def known(self, items: Tensor) -> Tensor:
        return self.decode(self.encode(F.pad(items, (0, 1), value=self.masked))[:, -1])

    def examples(self, items: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
        chosen = self._chosen(items != self.n_items, rng)
        return np.where(chosen, self.masked, items), np.where(chosen, items, self.n_items)

    def _chosen(self, real: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which places to mask (b, L), of those that are no padding."""
        last_alone = rng.random(len(real)) < self.config.last_share
        count = np.maximum(1, np.rint(self.config.mask_share * real.sum(1)))
        keys = np.where(real, rng.random(real.shape), 2.0)  # padding comes last, and before all a lone last item
        keys[last_alone, -1] = -1.0
        chosen: NDArray[np.bool_] = keys.argsort(1).argsort(1) < np.where(last_alone, 1, count)[:, None]
        return chosen
