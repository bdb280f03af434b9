"""A linear channel inside a diffusion network: logits = network + gain z(c B_u), B_u being SLIST without the user u.

python examples/trained_channel.py --dataset amazon_toys --channel leave_one_out    # or none, in_sample, cross_fitted

In training the channel is what another model says of a part of the user's history; at inference it is c B, B fitted on
all users, which prospective_cfg has as its expert. Prints nDCG@10 on validation at several weights of the expert. What
came of it: docs/ablations.md, "A channel trained inside the network". It uses private parts of the library.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

import unblur
from unblur import models
from unblur.data.dataset import Dataset, History
from unblur.diffusion.condition import Condition
from unblur.diffusion.denoiser import Denoiser
from unblur.diffusion.objective import Denoised
from unblur.evaluation.ranking import evaluating
from unblur.models.base import Batch
from unblur.models.batching import epoch_rng, shares
from unblur.models.closed_form._directed import _parts, geometric
from unblur.models.closed_form._linear import gram, inverse
from unblur.models.closed_form.blend import standardised
from unblur.models.closed_form.slist import Config as Slist
from unblur.models.closed_form.slist import regression
from unblur.models.diffusion import prospective_cfg
from unblur.models.diffusion._examples import Examples, weighted
from unblur.training.loop import Training, TrainingSchedule
from unblur.training.validation import validated
from unblur.training.workers import Workers

Floats = NDArray[np.float64]
FOLDS = 5
JOINED = (0, 0.05, 0.1, 0.2, 0.3, 0.5, 1)
"""Weights at inference of an expert that training knew nothing of."""
PARAMETERS = {
    "dims": [1000],
    "normalize": True,
    "loss": "multinomial",
    "time_sampling": "uniform",
    "weight_decay": 1e-6,
    "p_uncond": 0.2,
    "guidance_scale": 1.0,
    "expert": {"model": "slist", "params": {"a": 0.5, "gamma": 0.8, "gamma_future": 0.8, "l2": 50.0}},
}
"""The base of the study `prospective_parts`, where it is not the default."""


class Channel(Protocol):
    """What another model says."""

    def rows(self, users: NDArray[np.int64], c: csr_matrix) -> Floats:
        """Scores (b, n_items) of these users (b,), each of whom has the row of c (b, n_items), on items of theirs."""


class Without(NamedTuple):
    """What it takes to leave a user with h items out."""

    items: NDArray[np.int32]
    """(h,)."""
    into: Floats
    """I + P Z^T (I - Z P Z^T)^-1 Z on the items (h, h), so that c P_u = (c into) P."""
    own: Floats
    """Z^T Y on the items (h, h)."""
    ratio: Floats
    """(P_u K_u)_jj / (P_u)_jj (n_items,)."""


class LeaveOneOut:
    """c B_u, exact: Q_u = Q - Z^T Z, K_u = K - Z^T Y, and P_u = Q_u^-1 by Woodbury's identity.

    Z (cuts + 1, h) is sqrt(a) times the weighted history, then sqrt(1-a) times its earlier parts; Y the same history,
    then the later parts.
    """

    def __init__(self, config: Slist, history: History) -> None:
        x, sums = config.weigh(history), config.sums(history)
        k = config.a * gram(x, np.float64)
        q = k + (1 - config.a) * sums.ss
        q[np.diag_indices_from(q)] += config.l2
        self.p = inverse(q)
        self.pk = self.p @ (k + (1 - config.a) * sums.st)
        self.users = [self._without(*rows) for rows in _own_rows(config, history, x)]

    def _without(self, items: NDArray[np.int32], z: Floats, y: Floats) -> Without:
        p, pk = self.p[items], self.pk[items]
        m = z.T @ np.linalg.solve(np.eye(len(z)) - z @ p[:, items] @ z.T, z)
        into, own = np.eye(len(items)) + p[:, items] @ m, z.T @ y
        over = np.diag(self.p) + np.einsum("kj,kj->j", p, m @ p)
        ratio = np.diag(self.pk) + np.einsum("kj,kj->j", p, m @ pk)
        ratio[items] -= np.diag(into @ p[:, items] @ own)
        return Without(items, into, own, ratio / over)

    def rows(self, users: NDArray[np.int64], c: csr_matrix) -> Floats:
        return np.stack([self._row(self.users[u], c[i].toarray()[0]) for i, u in enumerate(users)])

    def _row(self, user: Without, c: Floats) -> Floats:
        b = c[user.items] @ user.into
        from_p, from_pk = b @ self.p[user.items], b @ self.pk[user.items]
        from_pk[user.items] -= from_p[user.items] @ user.own
        return np.asarray(from_pk - from_p * user.ratio)


def _own_rows(config: Slist, history: History, x: csr_matrix) -> Iterator[tuple[NDArray[np.int32], Floats, Floats]]:
    """The items (h,), Z and Y of each user."""
    assert history.rank is not None
    for start, end in zip(x.indptr, x.indptr[1:], strict=False):
        whole = np.sqrt(config.a) * x.data[None, start:end].astype(np.float64)
        z, y = [whole], [whole]
        if end - start > 1:
            decays = geometric(config.gamma), geometric(config.gamma_future)
            parts = _parts(end - start, config.cuts, *decays)
            for rows, part in zip((z, y), parts, strict=True):
                rows.append(np.sqrt(1 - config.a) * part[:, history.rank[start:end]])
        yield x.indices[start:end], np.vstack(z), np.vstack(y)


class Fitted:
    """c B, B fitted on everyone, or with several folds on the users of the others."""

    def __init__(self, config: Slist, history: History, folds: int = 1) -> None:
        self.fold = np.random.default_rng(0).integers(folds, size=history.matrix.shape[0])
        others = (np.flatnonzero((self.fold != fold) | (folds == 1)) for fold in range(folds))
        rest = [history.rows(users) for users in others]
        self.matrices = [regression(config, each, config.sums(each)) for each in rest]

    def rows(self, users: NDArray[np.int64], c: csr_matrix) -> Floats:
        scores = np.empty(c.shape)
        for fold, matrix in enumerate(self.matrices):
            mine = np.flatnonzero(self.fold[users] == fold)
            scores[mine] = c[mine] @ matrix
        return scores


CHANNELS: dict[str, Callable[[Slist, History], Channel | None]] = {
    "none": lambda config, history: None,
    "in_sample": Fitted,
    "cross_fitted": lambda config, history: Fitted(config, history, FOLDS),
    "leave_one_out": LeaveOneOut,
}


class Model(prospective_cfg.Model):
    """The gain is the weight that the expert has in training."""

    channel: Channel | None = None
    said: Tensor | None = None
    """By the channel of the batch, standardised (b, n_items)."""

    def channelled(self, channel: str, gain: float, learned: bool) -> None:
        self.made = CHANNELS[channel]
        self.gain = nn.Parameter(torch.tensor(gain), requires_grad=learned)

    @property
    def weight(self) -> float:
        """The expert's at inference: the gain, which may be learned to be below zero as no expert's weight can."""
        return max(0.0, float(self.gain))

    @property
    def slist(self) -> Slist:
        assert self.config.expert is not None
        own: Slist = self.config.expert.config()
        return own

    def setup(self, dataset: Dataset) -> None:
        super().setup(dataset)
        self.channel = self.made(self.slist, dataset.history())

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        rng = epoch_rng(self.seed, epoch)
        pairs = self.pairing.divide(dataset.history(), rng)
        rows, c = weighted(self.config, pairs, None), self.slist.weigh(pairs.given)
        for share in shares(pairs.examples, self.config.batch_size, rng, epoch, rank, world):
            examples = Examples(*rows.on(self.device, share.rows)), self._said(share.rows, c[share.rows])
            yield Batch(examples, share.size)

    def _said(self, users: NDArray[np.int64], c: csr_matrix) -> Tensor | None:
        return None if self.channel is None else standardised(torch.from_numpy(self.channel.rows(users, c))).float()

    def forward(self, examples: Any) -> Tensor:
        rows, self.said = examples
        return super().forward(rows)

    def _denoised(self, network: Denoiser, x_0: Tensor, t: Tensor, condition: Condition) -> Denoised:
        denoised = super()._denoised(network, x_0, t, condition)
        return denoised if self.said is None else replace(denoised, output=denoised.output + self.gain * self.said)


def alone(model: Model, dataset: Dataset) -> float:
    """Minus the mean log likelihood of a later item by the gain and the channel alone, over an epoch's pairs."""
    loss = total = 0.0
    for batch in model.batches(dataset, 0):
        rows, said = batch.examples[0].rows.to_dense(), batch.examples[1]
        loss -= float((rows * torch.log_softmax(model.gain.detach() * said, dim=1)).sum())
        total += float(rows.sum())
    return loss / total


class Swept(Training):
    """Each evaluation is that of the best of a few weights of the expert."""

    model: Model

    def sweep(
        self, weights: Sequence[float], users: NDArray[np.int64] | None
    ) -> tuple[dict[str, Any], dict[str, float]]:
        found = []
        for weight in weights:
            self.model.infer_with({"expert_weight": weight})
            found.append(validated(self.model, self.dataset, self.workers, users))
        shown = (f"{w:.2f}: {m['ndcg_at_10']:.4f}" for w, m in zip(weights, found, strict=True))
        print(f"epoch {self.epoch}, gain {float(self.model.gain):.3f};", ", ".join(shown), flush=True)
        best = max(range(len(weights)), key=lambda i: found[i][self.schedule.metric])
        self.model.infer_with(settings := {"expert_weight": weights[best]})
        return settings, found[best]

    def _validate(self) -> tuple[dict[str, Any], dict[str, float]]:
        gain = self.model.weight
        with evaluating(self.model):
            return self.sweep((0, 0.1, 0.3) if self.model.channel is None else (gain, 2 * gain), self.users)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--dataset", default="sample")
    flags.add_argument("--channel", choices=CHANNELS, default="leave_one_out")
    flags.add_argument("--gain", type=float, default=0.3)
    flags.add_argument("--learned", action="store_true", help="the gain, from that value")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--epochs", type=int, default=150)
    asked = flags.parse_args()
    torch.set_num_threads(1)
    dataset = unblur.load_data(asked.dataset).dataset
    config: Any = models.configure("prospective_cfg", PARAMETERS, "prospective_cfg")
    model = Model(config, dataset.n_users, dataset.n_items, asked.seed)
    model.channelled(asked.channel, asked.gain, asked.learned)
    schedule = TrainingSchedule(epochs=asked.epochs, validation_users=1500)
    training = Swept(model, dataset, schedule, lambda progress: None, None, Workers())
    if model.channel is not None:
        print(f"the channel alone, in training: {alone(model, dataset):.2f} nats an item")
    training.run()
    weights = JOINED if model.channel is None else [model.weight * factor for factor in (0, 0.5, 1, 1.5, 2, 3)]
    print(f"the weights of epoch {training.best.epoch}, all of validation:")
    with evaluating(model):
        training.sweep(weights, None)


if __name__ == "__main__":
    main()
