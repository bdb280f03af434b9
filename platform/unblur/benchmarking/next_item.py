"""SASRec beside RecBole's: the same network trained on the same targets, and ranking for the same users.

Ours reads a history once and learns at all of its places, histories of similar length together; RecBole reads each
target's prefix as a row of its own, padded to full length. The network is RecBole's, with each layer norm behind a
residual connection (post-norm) and not before a layer as in `sasrec`, so that both can have the same weights; the cost
is the same.
"""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.benchmarking import implementations, recbole
from unblur.benchmarking.implementations import Contestant
from unblur.benchmarking.options import BenchmarkOptions
from unblur.benchmarking.result import NextItem
from unblur.benchmarking.speed import epochs, evaluation
from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.models.sequential import sasrec
from unblur.nn.transformer import Block, Transformer, visible

CONFIG = sasrec.Config(dim=64, blocks=1, heads=1, max_length=50, dropout=0.5, batch_size=256, loss="cross_entropy")
EPSILON = 1e-12  # RecBole's, of layer norms
STEPS = 1  # of diffusion, of which there is none


class PostNormBlock(Block):
    """The same layers with each norm behind its residual connection."""

    def _split(self, x: Tensor) -> Tensor:
        split: Tensor = self.inwards(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split

    def _out(self, x: Tensor, attended: Tensor) -> Tensor:
        x = self.norm_attention(x + self._dropped(attended))
        out: Tensor = self.norm_feed_forward(x + self._dropped(self.narrow(F.gelu(self.widen(x)))))
        return out


class PostNormTransformer(Transformer):
    """RecBole's: what comes in is normed, and what comes out is the last block's."""

    def __init__(self, config: sasrec.Config) -> None:
        super().__init__(config.dim, config.blocks, config.heads, config.max_length, config.dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(config.dim, config.heads, config.dropout) for _ in range(config.blocks)
        )
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = EPSILON

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        place = (real.cumsum(1) - 1).clamp(min=0)
        x = F.dropout(self.norm(x + self.positions(place)), self.dropout, self.training)
        allowed = visible(real, self.causal)
        for block in self.blocks:
            x = block(x, allowed)
        return x


class Model(sasrec.Model):
    """SASRec with that network."""

    def make_encoder(self) -> Transformer:
        return PostNormTransformer(self.config)


class Ours(implementations.Ours):
    """The project's loop and ranking, with that network; it has no diffusion steps."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, CONFIG.dim, CONFIG.batch_size)

    def _made(self, steps: int) -> Model:
        return Model(CONFIG, self.dataset.n_users, self.dataset.n_items)

    @property
    def network(self) -> nn.Module:
        network: nn.Module = self.model
        return network


def measure(options: BenchmarkOptions, dataset: Dataset, console: Console) -> NextItem:
    """Each contestant in turn, so many rounds after one to warm up. UserError where RecBole would rank otherwise."""
    dataset = comparable(dataset)
    targets = int(dataset.train.nnz) - int(np.count_nonzero(np.diff(dataset.train.indptr)))
    with ExitStack() as stack:
        ours = Ours(dataset)
        contestants: dict[str, Contestant] = {"ours": ours}
        if options.peer == "recbole":
            contestants["recbole"] = stack.enter_context(theirs(dataset, targets, options, console))
        weights = ours.weights()
        for contestant in contestants.values():
            contestant.load(weights, STEPS)
        training = epochs(contestants, options.next_item_rounds)
        weights = ours.weights()  # trained, so that the metrics that are compared are not those of chance
        ranked = evaluation(contestants, weights, STEPS, options.next_item_rounds)
    return NextItem(
        targets=targets,
        training=training,
        evaluation=ranked.times,
        metrics=ranked.metrics,
        largest_difference=ranked.largest_difference,
    )


def comparable(dataset: Dataset) -> Dataset:
    """The data as RecBole ranks for a sequence: nothing is masked. UserError unless each user has one item to find."""
    most = int(np.diff(dataset.valid.indptr).max(initial=0))
    if most > 1:
        raise UserError(
            f"--next-item-rounds: a user has up to {most} validation interactions, and RecBole ranks for each by "
            "itself. Take data that are divided by --split leave_one_out, such as beauty_5core"
        )
    return replace(dataset, seen="allowed")


def theirs(dataset: Dataset, targets: int, options: BenchmarkOptions, console: Console) -> "recbole.Opened":
    """RecBole's process, with as many targets in a batch as ours has on average."""
    windows, _ = dataset.history().in_order().windows(CONFIG.max_length)
    rows = max(1, round(CONFIG.batch_size * targets / max(1, len(windows.ends))))
    sizes = {"model": "SASRec", "batch_size": rows, "threads": options.threads, **_sizes(CONFIG)}
    return recbole.recbole(
        lambda folder: recbole.write_prefixes(dataset, CONFIG.max_length, folder), sizes, options.peer_cache, console
    )


def _sizes(config: sasrec.Config) -> dict[str, float]:
    return {
        "dim": config.dim,
        "blocks": config.blocks,
        "heads": config.heads,
        "max_length": config.max_length,
        "dropout": config.dropout,
    }


def told(found: NextItem) -> list[str]:
    """In lines."""
    lines = [f"SASRec, {found.targets:,} targets"]
    for what, times in (("an epoch", found.training), ("an evaluation", found.evaluation)):
        lines += [f"SASRec, {name}: {each.median:.2f} s {what}" for name, each in times.items()]
    apart = found.largest_difference.items()
    return lines + [f"SASRec, metrics: {name} and ours differ by at most {most:.1e}" for name, most in apart]
