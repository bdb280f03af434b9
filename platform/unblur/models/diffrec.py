"""DiffRec (Wang et al., SIGIR 2023): diffusion over a user's whole interaction vector."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from unblur.data.split import History, Split
from unblur.denoisers.base import Denoiser, LinearEnds
from unblur.diffusion.guidance import guided
from unblur.diffusion.importance import StepSampler
from unblur.diffusion.noise import row_noise
from unblur.diffusion.process import Prediction, Process
from unblur.diffusion.rows import from_scipy
from unblur.diffusion.sampling import Products, hidden_chain, plain_chain, posterior_steps
from unblur.diffusion.schedules import SCHEDULES
from unblur.models.base import Batch, ModelConfig, TrainableRecommender
from unblur.models.files import load_model, save_model

ScheduleName = Literal["linear_variance", "linear_beta", "cosine", "binomial"]


class Config(ModelConfig):
    """DiffRec's parameters, with the papers' symbols; the defaults are close to the authors' best settings."""

    lr: float = Field(1e-3, gt=0)
    """Learning rate of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay."""
    batch_size: int = Field(400, ge=1)
    """Users per step, over all workers."""
    dims: tuple[int, ...] = Field((1000,), min_length=1)
    """Hidden sizes from the middle outwards: [200, 600] means n_items -> 600 -> 200 -> 600 -> n_items."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the noised input."""
    normalize: bool = False
    """Scale the network's input rows to length 1."""
    loss: Literal["squared_error", "multinomial"] = "squared_error"
    """Squared error, or a multinomial likelihood over items."""
    reweight: bool = True
    """Weigh each step's loss by the drop in signal-to-noise ratio (eq. 11); otherwise 1."""
    time_sampling: Literal["importance", "uniform"] = "importance"
    """How training draws t (eq. 14)."""
    prediction: Prediction = "x0"
    """What the network predicts."""
    schedule: ScheduleName = "linear_variance"
    """Noise schedule (eq. 4 by default)."""
    T: int = Field(5, ge=1)
    """Diffusion steps."""
    t_prime_share: float = 0.0
    """T' = round(share T): forward steps before the reverse chain; 0 starts from the history itself."""
    noise_scale: float = Field(0.01, ge=0, le=1)
    """s; 0 means no noise at all."""
    noise_min: float = Field(0.001, gt=0)
    """Lower noise bound."""
    noise_max: float = Field(0.01, lt=1)
    """Upper noise bound."""
    stochastic: bool = False
    """Add the posterior's noise in each reverse step (the CFG paper's eq. 5)."""
    w_min: float = Field(1.0, ge=0)
    """Weight of a user's oldest interaction (T-DiffRec, eq. 16)."""
    w_max: float = Field(1.0, gt=0)
    """Weight of a user's newest interaction."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not 0 <= self.t_prime_share <= 1:
            steps = round(self.t_prime_share * self.T)
            raise ValueError(
                f"t_prime_share = {self.t_prime_share:g} would make T' = {steps} of T = {self.T}; give 0 to 1"
            )
        if self.noise_min >= self.noise_max:
            raise ValueError(f"noise_min = {self.noise_min:g} must be below noise_max = {self.noise_max:g}")
        if self.prediction != "x0" and (self.loss == "multinomial" or self.noise_scale == 0):
            raise ValueError(f"prediction = {self.prediction} needs the squared error and noise (noise_scale > 0)")
        return self

    @property
    def T_prime(self) -> int:
        return round(self.t_prime_share * self.T)


class Model(TrainableRecommender[Config]):
    """Process x denoiser x weights. Subclasses add a condition (`cfg_diffrec`)."""

    config_class = Config

    def __init__(self, config: Config, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        bounds = (config.noise_scale, config.noise_min, config.noise_max)
        betas = SCHEDULES[config.schedule](config.T, *bounds) if config.noise_scale > 0 else None
        self.process = Process(betas, config.T)
        self.steps = StepSampler(config.T, config.time_sampling == "importance")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = self._network()
        self._products: Products | None = None

    # what a conditional model changes

    def _network(self) -> Denoiser:
        return build_denoiser("mlp", self.n_items, self.config)

    def _training_condition(self, rows: Tensor) -> Tensor | None:
        """The condition (B, n) sparse CSR of a training batch of (weighted) histories, dropped out as configured."""
        return None

    def _guidance(self, rows: Tensor) -> tuple[Tensor | None, float]:
        """The condition and the guidance scale of inference."""
        return None, 0.0

    # training

    def batches(self, split: Split, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        matrix = split.history().weighted(self.config.w_min, self.config.w_max)
        users = np.flatnonzero(np.diff(matrix.indptr))
        order = np.random.default_rng([self.seed, epoch]).permutation(users)
        for start in range(0, len(order), self.config.batch_size):
            whole = order[start : start + self.config.batch_size]
            yield Batch(from_scipy(matrix[whole[rank::world]], self.device), len(whole))

    def forward(self, examples: Tensor) -> Tensor:
        x_0 = examples.to_dense()
        t, spread = self.steps.draw(len(x_0))
        noise = torch.randn_like(x_0)
        x_t = x_0 if self.process.noiseless else self.process.q_sample(x_0, t, noise)
        output = self.network(x_t, t, self._training_condition(examples))
        losses = self._losses(output, x_0, x_t, noise, t)
        self.steps.record(t, losses.detach())
        return losses / spread

    def _losses(self, output: Tensor, x_0: Tensor, x_t: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.config.loss == "multinomial":
            return -(x_0 * F.log_softmax(output, dim=-1)).sum(-1)
        losses = self.process.squared_error(self.config.prediction, output, x_0, x_t, noise, t)
        return losses * self.process.weight(self.config.prediction, t) if self.config.reweight else losses

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay, fused=True
        )

    def train(self, mode: bool = True) -> Self:
        self._products = None  # they belong to the weights of one evaluation
        return super().train(mode)

    # inference

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows = from_scipy(history.weighted(self.config.w_min, self.config.w_max), self.device)
        ids = torch.from_numpy(users).to(self.device)
        condition, scale = self._guidance(rows)
        steps = posterior_steps(self.process, self.config.prediction, self.config.stochastic)
        x = self._start(rows, ids)
        network = self.network
        if isinstance(network, LinearEnds) and self.config.loss != "multinomial" and not self.config.stochastic:
            self._products = self._products or network.ends().products()
            encoded = network.encode(condition)

            def hidden(projected: Tensor, t: Tensor) -> Tensor:
                return guided(lambda given: network.hidden(projected, t, given), encoded, scale)

            return hidden_chain(x, steps, network.ends(), self._products, hidden)

        totals = rows.to_dense().sum(-1, keepdim=True)

        def predict(x_t: Tensor, t: Tensor) -> Tensor:
            output = guided(lambda given: network(x_t, t, given), condition, scale)
            return F.softmax(output, dim=-1) * totals if self.config.loss == "multinomial" else output

        def noise(t: int) -> Tensor:
            return row_noise(self.seed, ids, self.n_items, stream=t + 1)

        return plain_chain(x.to_dense() if x is rows else x, steps, predict, noise)

    def _start(self, rows: Tensor, users: Tensor) -> Tensor:
        """x_{T'}: the history itself (sparse) for T' = 0, else T' forward steps at once, with each user's own noise."""
        if self.config.T_prime == 0 or self.process.noiseless:
            return rows
        t = torch.full((rows.shape[0],), self.config.T_prime - 1, device=self.device)
        return self.process.q_sample(rows.to_dense(), t, row_noise(self.seed, users, self.n_items))

    # files and sizes

    def save(self, folder: Path) -> None:
        extra = {"n_users": self.n_users, "n_items": self.n_items, "seed": self.seed}
        save_model(folder, self.config, self.state_dict(), extra)

    @classmethod
    def load(cls, folder: Path) -> Self:
        config, tensors, extra = load_model(folder, cls.config_class)
        model = cls(config, **extra)
        model.load_state_dict(tensors)
        return model.eval()

    def footprint(self, split: Split) -> int:
        """Weights, gradients, two moments and the best copy; six dense batches; a sparse copy of the data."""
        weights = sum(p.numel() for p in self.parameters())
        dense_batches = 6 * self.config.batch_size * (self.n_items + sum(self.config.dims))
        return 4 * (5 * weights + dense_batches + 6 * split.train.nnz)


def build_denoiser(name: str, n_items: int, config: Config, **own: Any) -> Denoiser:
    """The network of `unblur.denoisers.<name>`."""
    network = import_module(f"unblur.denoisers.{name}").Network
    built: Denoiser = network(n_items, config.dims, config.dropout, config.normalize, **own)
    return built
