"""DiffRec written down plainly, as the paper describes it and as most would: the yardstick of speed and of results.

Dense batches, a loop over the batch's examples for the loss history, every reverse step through the whole network, and
metrics user by user. It imports nothing of the project. `jobs/benchmark.py` times it beside the project's own, and a
test holds that both give the same scores and metrics for the same weights.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

KEPT = 10
CUTOFFS = (1, 5, 10, 20)


class Network(nn.Module):
    """An MLP n -> hidden -> n on [dropout(x_t), time embedding]."""

    def __init__(self, n_items: int, hidden: int, time_dim: int = 10) -> None:
        super().__init__()
        self.time_dim = time_dim
        self.time = nn.Linear(time_dim, time_dim)
        self.dropout = nn.Dropout(0.5)
        self.first = nn.Linear(n_items + time_dim, hidden)
        self.last = nn.Linear(hidden, n_items)
        for layer in (self.time, self.first, self.last):
            nn.init.xavier_normal_(layer.weight)
            nn.init.normal_(layer.bias, 0.0, 0.001)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        half = self.time_dim // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
        angles = t[:, None].float() * frequencies[None]
        embedding = self.time(torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1))
        return self.last(torch.tanh(self.first(torch.cat([self.dropout(x), embedding], dim=-1))))


class DiffRec:
    """DiffRec that predicts x_0, with importance sampling of t and inference from the history itself (T' = 0)."""

    def __init__(
        self,
        n_items: int,
        hidden: int,
        T: int = 5,
        noise_scale: float = 0.01,
        noise_min: float = 0.001,
        noise_max: float = 0.01,
        lr: float = 1e-3,
        batch_size: int = 400,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self.network = Network(n_items, hidden)
        self.T, self.batch_size = T, batch_size
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=lr, weight_decay=0.0)
        variance = noise_scale * torch.linspace(noise_min, noise_max, T, dtype=torch.float64)
        alpha_bar = 1 - variance
        betas = [1e-5]  # the authors' fixed first step
        for t in range(1, T):
            betas.append(min(1 - float(alpha_bar[t] / alpha_bar[t - 1]), 0.999))
        self.betas = torch.tensor(betas, dtype=torch.float64)
        self.alpha_bar = torch.cumprod(1 - self.betas, dim=0)
        self.alpha_bar_before = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bar[:-1]])
        self.loss_history = torch.zeros(T, KEPT, dtype=torch.float64)
        self.loss_count = torch.zeros(T, dtype=torch.int64)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a network whose first layer is kept in two parts."""
        with torch.no_grad():
            self.network.first.weight.copy_(torch.cat([weights["w_in"].T, weights["time_in.weight"]], dim=1))
            self.network.first.bias.copy_(weights["time_in.bias"])
            for name, layer in (("time", self.network.time), ("out", self.network.last)):
                layer.weight.copy_(weights[f"{name}.weight"])
                layer.bias.copy_(weights[f"{name}.bias"])

    def train_epoch(self, train) -> float:
        """One pass over the users' rows of `train`, CSR (n_users, n_items); the mean loss."""
        self.network.train()
        order = torch.randperm(train.shape[0]).numpy()
        total = 0.0
        for start in range(0, len(order), self.batch_size):
            x_0 = torch.FloatTensor(train[order[start : start + self.batch_size]].toarray())
            self.optimizer.zero_grad()
            loss = self.loss(x_0)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(x_0)
        return total / len(order)

    def loss(self, x_0: Tensor) -> Tensor:
        t, probability = self.sample_steps(len(x_0))
        noise = torch.randn_like(x_0)
        alpha_bar = self.alpha_bar[t][:, None].expand(x_0.shape).float()
        x_t = torch.sqrt(alpha_bar) * x_0 + torch.sqrt(1 - alpha_bar) * noise
        mse = ((x_0 - self.network(x_t, t)) ** 2).mean(dim=1)
        snr = self.alpha_bar / (1 - self.alpha_bar)
        weight = torch.where(t == 0, torch.ones(len(t), dtype=torch.float64), snr[t - 1] - snr[t])
        weighted = weight * mse
        self.remember(t, weighted)
        return (weighted / (self.T * probability)).mean()

    def sample_steps(self, size: int) -> tuple[Tensor, Tensor]:
        """Steps t and their probabilities, by the size of the last ten losses of each step."""
        if not (self.loss_count == KEPT).all():
            return torch.randint(0, self.T, (size,)), torch.full((size,), 1 / self.T)
        p = torch.sqrt((self.loss_history**2).mean(dim=1))
        p = p / p.sum() * (1 - 0.001) + 0.001 / self.T
        t = torch.multinomial(p, size, replacement=True)
        return t, p[t]

    def remember(self, t: Tensor, losses: Tensor) -> None:
        """Keep each example's loss, pushing the oldest of its step out."""
        for step, loss in zip(t, losses, strict=True):
            if self.loss_count[step] == KEPT:
                before = self.loss_history.clone()
                self.loss_history[step, :-1] = before[step, 1:]
                self.loss_history[step, -1] = loss.detach()
            else:
                self.loss_history[step, self.loss_count[step]] = loss.detach()
                self.loss_count[step] += 1

    def scores(self, history: Tensor) -> Tensor:
        """x_0 (B, n) after all T reverse steps from the history (B, n)."""
        self.network.eval()
        x = history
        with torch.no_grad():
            for step in reversed(range(self.T)):
                t = torch.full((len(x),), step)
                predicted = self.network(x, t)
                beta, now, before = self.betas[step], self.alpha_bar[step], self.alpha_bar_before[step]
                of_x0 = beta * torch.sqrt(before) / (1 - now)
                of_xt = (1 - before) * torch.sqrt(1 - beta) / (1 - now)
                x = of_x0.float() * predicted + of_xt.float() * x
        return x

    def evaluate(self, train, truth) -> dict[str, float]:
        """Mean metrics over the users with an entry in `truth`, all items but those of `train` ranked."""
        users = np.flatnonzero(np.diff(truth.indptr))
        sums: dict[str, float] = {}
        for start in range(0, len(users), self.batch_size):
            batch = users[start : start + self.batch_size]
            rows = train[batch]
            scores = self.scores(torch.FloatTensor(rows.toarray()))
            scores[rows.nonzero()] = -np.inf
            _, ranked = torch.topk(scores, max(CUTOFFS))
            held_out = truth[batch]
            for i, items in enumerate(ranked.tolist()):
                relevant = set(held_out.indices[held_out.indptr[i] : held_out.indptr[i + 1]].tolist())
                for name, value in user_metrics(items, relevant).items():
                    sums[name] = sums.get(name, 0.0) + value
        return {name: value / len(users) for name, value in sums.items()}


def user_metrics(ranked: list[int], held_out: set[int]) -> dict[str, float]:
    """Precision, recall, nDCG (ideal cut at K) and reciprocal rank of one user's list."""
    metrics = {}
    for k in CUTOFFS:
        hits = [item in held_out for item in ranked[:k]]
        gains = [1 / math.log2(place + 2) for place in range(k)]
        ideal = sum(gains[: min(k, len(held_out))])
        metrics[f"precision_at_{k}"] = sum(hits) / k
        metrics[f"recall_at_{k}"] = sum(hits) / len(held_out)
        metrics[f"ndcg_at_{k}"] = sum(gain for gain, hit in zip(gains, hits, strict=True) if hit) / ideal
        metrics[f"mrr_at_{k}"] = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
    return metrics
