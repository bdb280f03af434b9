"""Full ranking on the device, in blocks of users: score, mask, top-K. Only (B, K) item ids leave the device."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from unblur.data.dataset import Dataset, History, HistoryName
from unblur.errors import UserError
from unblur.evaluation import measuring
from unblur.evaluation.measuring import CUTOFFS
from unblur.evaluation.metrics import Ranking, Values

Users = NDArray[np.int64]
Items = NDArray[np.int64]

SCORE_BYTES = 64 * 2**20  # of one block's score matrix at most; masking and top-K take about as much again
FREE_SHARE = 16  # ... and no more than this part of the memory that is free on the device
NARROWEST = 1024  # items: a small catalogue must not make blocks so tall that a model's hidden layers outgrow them


class ScoresNotFinite(ValueError):
    """A model answered nan or infinite scores: it is broken, and a ranking of them would look like a result."""


class Scorer(Protocol):
    """All that ranking asks of a model."""

    def score(self, history: History, users: Users, /) -> Tensor:
        """Finite scores (B, n_items); higher is better."""


@dataclass(frozen=True)
class Evaluation(Ranking):
    """The ranking for the users `users` (B,)."""

    users: Users

    def per_user(self) -> dict[str, Values]:
        """Every metric that has a value for each user (B,), aligned with `users`."""
        return measuring.per_user(self)

    def metrics(self) -> dict[str, float]:
        """Every metric, the mean over the users or the value of all lists together."""
        return measuring.means(self)


def validate(model: Scorer, dataset: Dataset, users: Users | None = None, newest: int | None = None) -> Evaluation:
    """Rank all items but those that the data mask, from train and what is folded in; the truth is valid.

    newest: how many of each user's last interactions the model is shown (default: all). What is masked is the same.
    """
    return evaluate(model, dataset, truth=dataset.valid, exclude=dataset.masked, users=users, newest=newest)


def final(
    model: Scorer, dataset: Dataset, test: csr_matrix, history: HistoryName = "train", newest: int | None = None
) -> Evaluation:
    """Rank all items but the user's train and valid, whichever of them the model sees; the truth is test.

    newest: how many of the last interactions of that history the model is shown (default: all).
    """
    exclude, with_valid = dataset.masked_at_test, history == "train+valid"
    return evaluate(model, dataset, truth=test, exclude=exclude, with_valid_history=with_valid, newest=newest)


def evaluate(
    model: Scorer,
    dataset: Dataset,
    truth: csr_matrix,
    exclude: csr_matrix,
    with_valid_history: bool = False,
    users: Users | None = None,
    newest: int | None = None,
) -> Evaluation:
    """Rank for those of `users` (default: all) who have a held-out item in `truth` (n_users, n_items).

    Raises UserError when nobody has one, ScoresNotFinite when the model is broken.
    """
    users = np.arange(dataset.n_users) if users is None else users
    users = users[np.diff(truth.indptr)[users] > 0]
    if not len(users):
        raise UserError("no user has a held-out item, so there is nothing to evaluate; keep more data or users")
    history = dataset.known(with_valid_history)
    shown = history if newest is None else history.newest(newest)
    return evaluation(rank(model, shown, exclude, users), dataset, truth, users)


def evaluation(items: Items, dataset: Dataset, truth: csr_matrix, users: Users) -> Evaluation:
    """What the recommendations `items` (B, K) for `users` (B,) are to be judged by; `truth` is of all users."""
    n_relevant = np.diff(truth.indptr).astype(np.int64)[users]
    counts = np.bincount(dataset.train.indices, minlength=dataset.n_items)
    return Evaluation(items, hits_of(items, truth[users]), n_relevant, counts, dataset.n_trained, users)


def rank(model: Scorer, history: History, exclude: csr_matrix, users: Users, k: int = max(CUTOFFS)) -> Items:
    """The k best items (n, k), best first, for each of `users` (n,); -1 where fewer are left to choose from.

    What a user's row of `exclude` (n_users, n_items) holds is never recommended. Equal scores are ordered by item
    id, so the result depends on no block size or device.
    """
    return rank_with_scores(model, history, exclude, users, k)[0]


def rank_with_scores(
    model: Scorer, history: History, exclude: csr_matrix, users: Users, k: int, never: Sequence[int] = ()
) -> tuple[Items, NDArray[np.float32]]:
    """`rank`, and the scores (n, k) of the items; -inf where there is none. `never`: columns that nobody gets."""
    n_items = exclude.shape[1]
    width = min(k, n_items)
    best = np.full((len(users), k), -1, dtype=np.int64)
    scored = np.full((len(users), k), -np.inf, dtype=np.float32)
    with evaluating(model):
        for block in _blocks(len(users), n_items, _free_bytes(model)):
            scores = _masked(model.score(history.rows(users[block]), users[block]), exclude[users[block]])
            if never:
                scores[:, list(never)] = -torch.inf
            values, items = top_k(scores, width)
            best[block, :width] = items.masked_fill(values.isinf(), -1).cpu().numpy()
            scored[block, :width] = values.float().cpu().numpy()
    return best, scored


def hits_of(items: Items, truth: csr_matrix) -> NDArray[np.bool_]:
    """Which of the recommendations `items` (n, K) are entries of `truth` (n, n_items)."""
    rows, columns = truth.nonzero()
    # one column more than there are items: the -1 of "no item" must not become the last item of the row before
    row_keys = np.arange(len(items), dtype=np.int64)[:, None] * (truth.shape[1] + 1)
    return np.isin(row_keys + items + 1, row_keys[rows, 0] + columns + 1)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of `scores` (B, n) and their columns, best first, equal ones by column."""
    values, items = scores.topk(min(k + 1, scores.shape[1]))
    # topk is free to choose among equal scores; only where the k-th equals the next is a full sort needed
    ambiguous = (values[:, k - 1 : k] == values[:, k:]).any(dim=1).nonzero().squeeze(1)
    values, items = values[:, :k], items[:, :k]
    if len(ambiguous):
        values[ambiguous], items[ambiguous] = (
            part[:, :k] for part in scores[ambiguous].sort(dim=1, descending=True, stable=True)
        )
    items, order = items.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, items.gather(1, order)


def _blocks(n_users: int, n_items: int, free: int) -> Iterator[slice]:
    size = max(1, min(SCORE_BYTES, free // FREE_SHARE) // (4 * max(n_items, NARROWEST)))
    return (slice(start, min(start + size, n_users)) for start in range(0, n_users, size))


def _free_bytes(model: Scorer) -> int:
    """On the model's device; as if without end where the system does not tell."""
    device = getattr(model, "device", None)
    if isinstance(device, torch.device) and device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        # a process may have been kept to a share of the device
        allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total)
        return min(free, allowed - torch.cuda.memory_allocated(device))
    known = "SC_AVPHYS_PAGES" in os.sysconf_names
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") if known else sys.maxsize


def _masked(scores: Tensor, exclude: csr_matrix) -> Tensor:
    """A copy of `scores` (B, n_items), since they may be the model's own, with -inf for every entry of `exclude`."""
    if scores.shape != exclude.shape:
        raise ValueError(f"the model answered scores of shape {tuple(scores.shape)}, not {exclude.shape}")
    if not torch.stack(scores.aminmax()).isfinite().all():  # nan wins in both; one pass, where isfinite takes three
        raise ScoresNotFinite("the model's scores are not finite: training diverged, or it masks items by itself")
    lengths = torch.from_numpy(np.diff(exclude.indptr)).to(scores.device)
    rows = torch.arange(len(scores), device=scores.device).repeat_interleave(lengths)
    columns = torch.from_numpy(exclude.indices).to(scores.device, torch.int64)
    return scores.index_put((rows, columns), scores.new_tensor(-torch.inf))


@contextmanager
def evaluating(model: Scorer) -> Iterator[None]:
    """No gradients, and networks in evaluation mode, so that a forgotten dropout cannot blur the result."""
    training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if isinstance(model, nn.Module):
            model.train(training)
