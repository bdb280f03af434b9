"""A causal transformer of the history in its order (Kang & McAuley 2018, SASRec): what the newest place knows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unblur import encoders
from unblur.data.sequences import Ints
from unblur.diffusion.condition import Condition, EveryPlace
from unblur.nn.history_transformer import HistoryTransformerConfig, by_length, in_groups
from unblur.nn.transformer import Transformer


class Config(HistoryTransformerConfig):
    """Those of the transformer."""


class Encoder(encoders.Encoder):
    """Item embeddings of its own and learned positions through causal blocks; the vector of the newest place."""

    SIGNED = False
    ORDERED = True

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        d = config.embedding_dim
        self.items = nn.Parameter(0.02 * torch.randn(n_items, d))
        self.blocks = Transformer(d, config.blocks, config.heads, config.max_length, config.history_dropout)

    def share(self, items: nn.Parameter, std: float) -> None:
        """Positions begin at the embeddings' scale, beside which those of its own would not be heard."""
        self.items = items
        with torch.no_grad():  # and no number is asked for: a forecast builds models without any
            self.blocks.positions.weight.normal_().mul_(items.std())

    @staticmethod
    def size(n_items: int, config: Config) -> int:
        return config.embedding_dim

    @staticmethod
    def newest(config: Config) -> int:
        return config.max_length

    @staticmethod
    def kept(config: Config, histories: int, entries: int) -> int:
        return config.kept(histories)

    @staticmethod
    def work(config: Config, lengths: Ints) -> float:
        return config.work(lengths)

    def read(self, condition: Condition) -> Tensor:
        """Of all places of a history in one pass, where that is asked for: none of them looks ahead."""
        if not isinstance(condition, EveryPlace):
            return super().read(condition)
        embedded, real = self._embedded(condition.histories)
        return in_groups(self.blocks, real, embedded, real)[real] * ~condition.empty.unsqueeze(-1)

    def forward(self, history: Tensor) -> Tensor:
        """Those of similar length go through the blocks together, which changes nothing but the time it takes."""
        embedded, real = self._embedded(history)
        vectors = torch.zeros_like(embedded[:, 0])
        for rows, width in by_length(real):
            newest = self.blocks(embedded[rows, -width:], real[rows, -width:])[:, -1]
            vectors = vectors.index_copy(0, rows, newest * real[rows, -1:])
        return vectors

    def _embedded(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """Items (b, L, d), and where there are any (b, L).

        All at once: the gradient of each look into the table is as large as the table.
        """
        real = history < len(self.items)
        return F.embedding(history.clamp(max=len(self.items) - 1), self.items) * real.unsqueeze(-1), real
