"""TDM's pairing (Mao et al., SIGIR 2025): histories lose items in training, the likelier the better these are known.

Dual Thompson sampling: a history is drawn by its stability, in it items are drawn by their continuity, and left out.
"""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from unblur.diffusion.condition import Condition, OrderedItems
from unblur.pairings import prefix_next


class Config(prefix_next.Config):
    """Those of the pairs, and the two rates; both are means."""

    history_removal: float = Field(0.1, ge=0, le=1)
    """p1: the share of histories that lose items."""
    item_removal: float = Field(0.1, ge=0, le=1)
    """p2: the share of such a history's items that are lost. Never its newest."""


class Pairing(prefix_next.Pairing):
    """Continuity: softmax, over a history, of each item's cosine with the one after it. Stability: softmax, over the
    worker's share of a batch, of the continuity's entropy."""

    OF_ITEMS = True

    def corrupt(self, condition: Condition, items: Tensor | None) -> Condition:
        condition = super().corrupt(condition, items)
        assert isinstance(condition, OrderedItems) and items is not None
        continuity, stability = uncertainty(condition, items.detach())
        pairs = (condition.tensor[:, :-1] < condition.n_items).sum(1)
        of_history = self.config.history_removal * len(stability) * stability
        of_item = self.config.item_removal * pairs.unsqueeze(1) * continuity
        chosen = torch.rand_like(of_history) < of_history
        lost = chosen.unsqueeze(1) & (torch.rand_like(of_item) < of_item)
        return condition.keep_items(F.pad(~lost, (0, 1), value=True))


def uncertainty(condition: OrderedItems, items: Tensor) -> tuple[Tensor, Tensor]:
    """Continuity of every item but the newest (b, L - 1), 0 where there is none, and stability (b,)."""
    real = condition.tensor < condition.n_items
    embedded = F.embedding(condition.tensor.clamp(max=condition.n_items - 1), items)
    similar = F.cosine_similarity(embedded[:, :-1], embedded[:, 1:], dim=-1)
    continuity = F.softmax(similar.masked_fill(~real[:, :-1], torch.finfo(similar.dtype).min), dim=1) * real[:, :-1]
    entropy = -torch.special.xlogy(continuity, continuity).sum(1)
    return continuity, F.softmax(entropy, dim=0)
