"""Rows of interactions (B, n), dense or sparse CSR: the few operations that both layouts share.

A sparse row costs its entries and not the catalogue, which is what makes histories and conditions cheap.
"""

import warnings
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional as F

from unblur.nn.onednn import linear

TINY = 1e-12
LEVELS = 1 << 16
LOWEST_INT64 = torch.iinfo(torch.int64).min


def project(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight: (B, n) by (n, h). A sparse row is a weighted sum of embeddings, also in the backward pass."""
    if not is_sparse(x):
        return linear(x, weight.T)
    bags = x.crow_indices()[:-1]
    return F.embedding_bag(x.col_indices(), weight, bags, mode="sum", per_sample_weights=x.values())


def row_squares(x: Tensor) -> Tensor:
    """||x||^2 of every row (B,)."""
    if not is_sparse(x):
        return x.square().sum(-1)
    return x.values().new_zeros(x.shape[0]).index_add(0, owners(x), x.values().square())


def row_products(x: Tensor, y: Tensor) -> Tensor:
    """The dot products (B,) of the rows of x (B, n) with those of a dense y (B, n)."""
    if not is_sparse(x):
        return torch.linalg.vecdot(x, y)  # type: ignore[no-any-return]
    own = owners(x)
    return y.new_zeros(len(y)).index_add(0, own, x.values() * y[own, x.col_indices()])


def normalized(x: Tensor) -> Tensor:
    """Rows scaled to length 1; a zero row stays zero."""
    if not is_sparse(x):
        return F.normalize(x, eps=TINY)
    norms = row_squares(x).sqrt().clamp(min=TINY)
    return with_values(x, x.values() / norms[owners(x)])


def with_values(csr: Tensor, values: Tensor) -> Tensor:
    """The sparse CSR matrix with other values at the same places."""
    return csr_tensor(csr.crow_indices(), csr.col_indices(), values, csr.shape)


def is_sparse(x: Tensor) -> bool:
    return x.layout is torch.sparse_csr


def dense(x: Tensor) -> Tensor:
    return x.to_dense() if is_sparse(x) else x


def dropped(x: Tensor, probability: float) -> Tensor:
    """Dropout of single entries, the rest scaled up so that the mean stays.

    Of a generator's 64 bits each entry takes 16, which is far faster than a uniform draw for each; the probability is
    thereby rounded to the next 1/65,536, and the scale goes by what it became.
    """
    dropped_of = round(probability * LEVELS)
    if dropped_of == 0:
        return x
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(LOWEST_INT64, None)
    levels = bits.view(torch.int16)[: x.numel()].view(x.shape).to(x.dtype)  # uniform on -LEVELS / 2 ... LEVELS / 2 - 1
    return x * levels.ge_(dropped_of - LEVELS // 2).mul_(LEVELS / (LEVELS - dropped_of))


def owners(csr: Tensor) -> Tensor:
    """The row of every entry (nnz,)."""
    return torch.repeat_interleave(torch.arange(csr.shape[0], device=csr.device), csr.crow_indices().diff())


def row_sums(csr: Tensor, x: Tensor) -> Tensor:
    """Sums of x (nnz, ...), one for each entry of the sparse matrix, over its rows: (B, ...)."""
    return x.new_zeros(csr.shape[0], *x.shape[1:]).index_add(0, owners(csr), x)


def row_softmax(csr: Tensor, scores: Tensor) -> Tensor:
    """Softmax of scores (nnz, k) over each row, entries weighed by their values: attention over a row's items.

    A value of 0 is an absent item; a row of such gets weights 0.
    """
    own = owners(csr)
    logits = scores + csr.values().log().unsqueeze(-1)
    index = own.unsqueeze(-1).expand_as(logits)
    lowest = torch.finfo(logits.dtype).min  # finite, for rows without any item
    peak = logits.new_full((csr.shape[0], logits.shape[1]), lowest).scatter_reduce(0, index, logits.detach(), "amax")
    weights = torch.exp(logits - peak[own])
    return weights / row_sums(csr, weights).clamp(min=TINY)[own]


def from_scipy(matrix: csr_matrix, device: torch.device) -> Tensor:
    """A scipy CSR matrix as a torch one of float32, on `device`."""
    parts = (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.float32))
    pointers, columns, values = (torch.from_numpy(part).to(device) for part in parts)
    return csr_tensor(pointers, columns, values, matrix.shape)


def csr_tensor(pointers: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A sparse CSR matrix of its parts, which are not checked."""
    _warn_in_silence()
    return torch.sparse_csr_tensor(pointers, columns, values, shape, check_invariants=False)


@cache
def _warn_in_silence() -> None:
    """Torch warns once in every process that some operations on this layout are unfinished; none of them is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.zeros(1, 1).to_sparse_csr()
