"""Which step to train on: importance sampling by the size of past losses (DiffRec eq. 14), or uniform."""

import torch
from torch import Tensor, nn

KEPT = 10
UNIFORM_SHARE = 0.001


class StepSampler(nn.Module):
    """Draws steps t (B,) and keeps the last ten weighted losses of each.

    With `importance` False, or until every step has ten losses, the draw is uniform. The history is part of the
    model's state, so that a resumed training draws as an undisturbed one.
    """

    losses: Tensor  # (T, KEPT)
    counts: Tensor  # (T,) how many losses were ever recorded

    def __init__(self, T: int, importance: bool) -> None:
        super().__init__()
        self.T, self.importance = T, importance
        self.register_buffer("losses", torch.zeros(T, KEPT))
        self.register_buffer("counts", torch.zeros(T, dtype=torch.int64))

    def probabilities(self) -> Tensor:
        """p_t (T,), proportional to sqrt(mean of squared losses), mixed with 0.001 uniform."""
        size = self.losses.square().mean(-1).sqrt()
        learned = (1 - UNIFORM_SHARE) * size / size.sum() + UNIFORM_SHARE / self.T
        warm = (self.counts >= KEPT).all() & (size.sum() > 0)
        return torch.where(warm, learned, torch.full_like(size, 1 / self.T))

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Steps t (size,) int64 and T p_t (size,), by which their losses are divided."""
        if not self.importance:
            return torch.randint(self.T, (size,), device=self.losses.device), self.losses.new_ones(size)
        p = self.probabilities()
        if size == 0:
            return self.counts.new_empty(0), p.new_empty(0)
        t = torch.multinomial(p, size, replacement=True)
        return t, self.T * p[t]

    @torch.no_grad()
    def record(self, t: Tensor, losses: Tensor) -> None:
        """Keep the batch's weighted losses (B,) of the steps t (B,): one scatter, in the batch's order."""
        if not self.importance:
            return
        ordered, order = torch.sort(t, stable=True)
        in_batch = torch.bincount(ordered, minlength=self.T)
        first = torch.cumsum(in_batch, 0) - in_batch
        occurrence = torch.arange(len(t), device=t.device) - first[ordered]
        # of more than ten losses of one step only the last ten may be written: earlier ones go where later ones follow
        newest = occurrence >= in_batch[ordered] - KEPT
        column = (self.counts[ordered] + occurrence) % KEPT
        flat = torch.where(newest, ordered * KEPT + column, self.T * KEPT)
        store = torch.cat([self.losses.flatten(), self.losses.new_zeros(1)])
        self.losses.copy_(store.scatter(0, flat, losses[order].to(store.dtype))[:-1].view_as(self.losses))
        self.counts += in_batch
