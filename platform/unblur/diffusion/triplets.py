"""The triplet loss: a user's hits should score above what the same user rated too low for a hit.

DiffRec leaves negatives to future work; this is BPR (Rendle et al. 2009) with known negatives instead of sampled ones.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.nn.sparse import owners


def triplet_losses(scores: Tensor, rows: Tensor, disliked: Tensor) -> Tensor:
    """-log sigmoid(hit - dislike) (b,), the mean over a user's dislikes, each against one random hit; 0 without any.

    scores (b, n_items). rows, disliked: sparse CSR (b, n_items), the hits being what is not negative in `rows`.
    """
    row, hit, dislike = triplets(rows, disliked)
    losses = F.softplus(scores[row, dislike] - scores[row, hit])
    sums = scores.new_zeros(len(scores)).index_add(0, row, losses)
    return sums / disliked.crow_indices().diff().clamp(min=1)


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
