"""What diffusion models learn from ratings that are too low for a hit, besides a signed input: pairs of items.

DiffRec leaves negatives to future work; a user's hit should score above what the same user disliked (BPR, Rendle et
al. 2009, with known negatives instead of sampled ones).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.nn.sparse import owners


class Examples(NamedTuple):
    """One rank's users of a batch, all sparse CSR (b, n_items)."""

    rows: Tensor
    """What is diffused: weighted hits, and with a signed input negative dislikes."""
    condition: Tensor
    disliked: Tensor | None = None
    """Binary; None where the loss does not ask for it."""


def triplet_losses(scores: Tensor, examples: Examples) -> Tensor:
    """-log sigmoid(hit - dislike) (b,), the mean over a user's dislikes, each against one random hit; 0 without any.

    scores (b, n_items): the predicted x_0, or logits.
    """
    assert examples.disliked is not None
    row, hit, dislike = triplets(examples.rows, examples.disliked)
    losses = F.softplus(scores[row, dislike] - scores[row, hit])
    sums = scores.new_zeros(len(scores)).index_add(0, row, losses)
    return sums / examples.disliked.crow_indices().diff().clamp(min=1)


def triplets(rows: Tensor, disliked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, hit and dislike (nnz of `disliked`,): every dislike with a random hit of the same row of `rows`.

    Hits are the entries of `rows` that are not negative, of which every row has one.
    """
    positive = rows.values() >= 0
    hits = rows.col_indices()[positive]
    counts = torch.bincount(owners(rows)[positive], minlength=rows.shape[0])
    row = owners(disliked)
    place = (torch.rand(len(row), device=row.device) * counts[row]).long()
    first = counts.cumsum(0) - counts
    return row, hits[first[row] + place.minimum(counts[row] - 1)], disliked.col_indices()
