"""DiffRec (Wang et al., SIGIR 2023): diffusion over a user's whole interaction vector."""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional as F

from unblur import denoisers
from unblur.data.dataset import Dataset, History, WeightForm
from unblur.denoisers.base import Denoiser, LinearEnds, SelfConditioned
from unblur.diffusion.noise import row_noise
from unblur.diffusion.process import Prediction, Process
from unblur.diffusion.sampling import Products, Sampler, reverse_steps, thinned
from unblur.diffusion.schedules import SCHEDULES
from unblur.diffusion.step_sampling import StepSampler
from unblur.models.base import Batch, TrainableConfig, TrainableRecommender
from unblur.models.batching import epoch_rng, shares
from unblur.models.diffusion._dislikes import Examples, triplet_losses
from unblur.models.diffusion._reverse import Reverse
from unblur.models.files import load_model, save_model
from unblur.models.needs import ORDER, RATINGS, Needs, refuse_unmet
from unblur.nn.sparse import dense, from_scipy

ScheduleName = Literal[
    "linear_variance", "linear_variance_exact", "zero_terminal_snr", "linear_beta", "cosine", "binomial"
]


class Config(TrainableConfig):
    """DiffRec's parameters, with the papers' symbols; the defaults are close to the authors' best settings."""

    INFERENCE = frozenset({"t_prime_share", "sampler", "reverse_steps", "samples"})

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
    sampler: Sampler = "posterior_mean"
    """Reverse steps: posterior mean, the same with the posterior's noise (the CFG paper's eq. 5), or DDIM."""
    reverse_steps: int | None = Field(None, ge=1)
    """Run only so many of the T reverse steps, evenly spread [all]."""
    samples: int = Field(1, ge=1)
    """Average so many reverse chains, each with its own noise; one is enough where nothing is drawn."""
    self_condition: bool = False
    """Show the network its own last estimate of x_0 (Chen et al. 2022)."""
    w_min: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, ge=0)
    """Weight of a user's oldest interaction (T-DiffRec, eq. 16)."""
    w_max: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, gt=0)
    """Weight of a user's newest interaction."""
    w_form: Annotated[WeightForm, Needs(ORDER, neutral="linear")] = "linear"
    """From w_min to w_max by a constant step (linear) or factor (exponential), or by gamma alone (geometric)."""
    gamma: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, gt=0, le=1)
    """With w_form = geometric, an interaction weighs gamma^k, where k interactions of the same user came later."""
    dislike_weight: Annotated[float, Needs(RATINGS, neutral=0.0)] = Field(0.0, ge=0)
    """A signed x_0: what the user rated too low for a hit is -dislike_weight in it; 0 leaves it out."""
    triplet_weight: Annotated[float, Needs(RATINGS, neutral=0.0)] = Field(0.0, ge=0)
    """Weight of the loss that puts a user's hits above the user's dislikes; 0 leaves it out."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not 0 <= self.t_prime_share <= 1:
            steps = round(self.t_prime_share * self.T)
            raise ValueError(
                f"t_prime_share = {self.t_prime_share:g} would make T' = {steps} of T = {self.T}; give 0 to 1"
            )
        if self.noise_min >= self.noise_max:
            raise ValueError(f"noise_min = {self.noise_min:g} must be below noise_max = {self.noise_max:g}")
        if self.w_form == "exponential" and self.w_min == 0:
            raise ValueError("w_min = 0 cannot grow by a constant factor; give w_form = linear, or more than 0")
        if self.w_form != "geometric" and self.gamma != 1:
            raise ValueError(f"gamma = {self.gamma:g} weighs nothing with w_form = {self.w_form}; give geometric")
        if self.prediction != "x0" and (self.loss == "multinomial" or self.noise_scale == 0):
            raise ValueError(f"prediction = {self.prediction} needs the squared error and noise (noise_scale > 0)")
        if self.prediction == "eps" and self.schedule == "zero_terminal_snr":
            raise ValueError(f"prediction = eps says nothing of x_0 where all is noise ({self.schedule}); take x0 or v")
        return self

    @property
    def T_prime(self) -> int:
        return round(self.t_prime_share * self.T)


class Model(TrainableRecommender[Config]):
    """Codec x weights x process x denoiser x guidance; the family's members replace one part or another."""

    config_class = Config
    DIFFUSION = True

    def __init__(self, config: Config, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        bounds = (config.noise_scale, config.noise_min, config.noise_max)
        betas = SCHEDULES[config.schedule](config.T, *bounds) if config.noise_scale > 0 else None
        self.process = Process(betas, config.T)
        self.steps = StepSampler(config.T, config.time_sampling == "importance")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build()
        self._products: Products | None = None

    # what the members change

    def _build(self) -> None:
        """Make the networks; random draws come from the model's seed."""
        config = self.config
        network = denoisers.build("mlp", self.n_items, config.dims, config.dropout, config.normalize)
        self.network: Any = self._wrapped(network)
        self.weak: Denoiser | None = None

    def _wrapped(self, network: Denoiser) -> Denoiser:
        """The network, which sees its own estimates if the configuration says so."""
        if not self.config.self_condition:
            return network
        assert isinstance(network, LinearEnds)
        return SelfConditioned(network)

    def _matrices(self, history: History) -> tuple[csr_matrix, csr_matrix]:
        """What is diffused (B, n_items), and the condition (B, n_items)."""
        c = self.config
        weighted = history.weighted(c.w_min, c.w_max, c.w_form, c.gamma)
        rows = history.signed(weighted, self.config.dislike_weight)
        return rows, rows

    def _condition(self, rows: Tensor) -> Tensor | None:
        """The condition (B, n_items) as the network may see it, in training with its dropout."""
        return None

    def _scale(self, t: int) -> float:
        """Guidance scale of step t."""
        return 1.0

    # training

    def setup(self, dataset: Dataset) -> None:
        refuse_unmet(self.config, dataset)

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        matrices = self._matrices(dataset.history())
        disliked = dataset.disliked if self.config.triplet_weight else None
        users = np.flatnonzero(np.diff(dataset.train.indptr))
        for share in shares(users, self.config.batch_size, epoch_rng(self.seed, epoch), epoch, rank, world):
            low = None if disliked is None else from_scipy(disliked[share.rows], self.device)
            yield Batch(Examples(*self._tensors(matrices, share.rows), low), share.size)

    def forward(self, examples: Examples) -> Tensor:
        return self._loss(self.network, examples)

    def _loss(self, network: Denoiser, examples: Examples) -> Tensor:
        """The losses (B,) of a network that diffuses interactions."""
        losses, predicted = self._diffuse(network, examples.rows.to_dense(), examples.condition)
        return losses + self._triplet_loss(predicted, examples)

    def _triplet_loss(self, scores: Tensor, examples: Examples) -> Tensor | float:
        """The weighted losses (B,) of hits that score (B, n_items) below dislikes."""
        return self.config.triplet_weight * triplet_losses(scores, examples) if self.config.triplet_weight else 0.0

    def _diffuse(self, network: Denoiser, x_0: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The diffusion's losses (B,), divided by T p_t, and the x_0 (or logits) (B, n) that the network predicts."""
        t, spread = self.steps.draw(len(x_0))
        noise = torch.randn_like(x_0)
        x_t = x_0 if self.process.noiseless else self.process.q_sample(x_0, t, noise)

        def to_x0(output: Tensor) -> Tensor:
            link = self._link(x_0)
            return self.process.to_x0(self.config.prediction, link(output) if link else output, x_t, t)

        output = network.training_output(x_t, t, self._condition(condition), to_x0)
        losses = self._losses(output, x_0, x_t, noise, t)
        self.steps.record(t, losses.detach())
        return losses / spread, self.process.to_x0(self.config.prediction, output, x_t, t)

    def _losses(self, output: Tensor, x_0: Tensor, x_t: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.config.loss == "multinomial":
            return -(x_0.clamp(min=0) * F.log_softmax(output, dim=-1)).sum(-1)  # a dislike has no share
        losses = self.process.squared_error(self.config.prediction, output, x_0, x_t, noise, t)
        return losses * self.process.weight(self.config.prediction, t) if self.config.reweight else losses

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay, fused=True
        )

    def train(self, mode: bool = True) -> Self:
        if mode:
            self._products = None  # they belong to the weights of one evaluation
        return super().train(mode)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        self._products = None
        return super().load_state_dict(*arguments, **options)

    # inference

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows, condition = self._tensors(self._matrices(history))
        return self._generate(rows, self._condition(condition), torch.from_numpy(users).to(self.device))

    def _generate(self, x_0: Tensor, condition: Tensor | None, users: Tensor) -> Tensor:
        """The mean of x_0 (B, n) over the reverse chains from x_{T'}; the given x_0 (B, n) may be sparse."""
        count = self.config.samples if self.config.sampler == "ancestral" or self._starts_noised else 1
        reverse = self._reverse(self._link(x_0))
        streams = range(0, count * (self.config.T + 1), self.config.T + 1)  # of noise: the start's, then each step's
        total = reduce(torch.add, (self._chain(reverse, x_0, condition, users, first) for first in streams))
        return total if count == 1 else total / count

    def _chain(self, reverse: Reverse, x: Tensor, condition: Tensor | None, users: Tensor, stream: int) -> Tensor:
        """One reverse chain, from T' forward steps at once or from x (B, n) itself."""

        def noise(offset: int) -> Tensor:
            return row_noise(self.seed, users, x.shape[1], stream + offset)

        start = x
        if self._starts_noised:
            start = self.process.q_sample(dense(x), torch.full_like(users, self.config.T_prime - 1), noise(0))
        if not reverse.in_hidden_space:
            return reverse.plain(start, condition, lambda t: noise(t + 1))
        self._products = self._products or self.network.ends().products()
        return reverse.hidden(start, condition, self._products)

    @property
    def _starts_noised(self) -> bool:
        return self.config.T_prime > 0 and not self.process.noiseless

    def _link(self, x_0: Tensor) -> Callable[[Tensor], Tensor] | None:
        """What turns an output into a prediction: with the multinomial loss logits into shares of the sum of x_0."""
        if self.config.loss != "multinomial":
            return None
        totals = dense(x_0).clamp(min=0).sum(-1, keepdim=True)
        return lambda logits: F.softmax(logits, dim=-1) * totals

    def _reverse(self, link: Callable[[Tensor], Tensor] | None) -> Reverse:
        """The reverse chain."""
        kept = thinned(self.config.T, self.config.reverse_steps or self.config.T)
        steps = reverse_steps(self.process, self.config.prediction, self.config.sampler, kept)
        to_x0 = partial(self.process.to_x0, self.config.prediction)
        return Reverse(self.network, self.weak, steps, self._scale, to_x0, link)

    def _tensors(
        self, matrices: tuple[csr_matrix, csr_matrix], users: NDArray[np.int64] | slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """The rows `users` of both matrices on the device; one tensor where both are the same."""
        rows = from_scipy(matrices[0][users], self.device)
        same = matrices[1] is matrices[0]
        return rows, rows if same else from_scipy(matrices[1][users], self.device)

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

    def footprint(self, dataset: Dataset) -> int:
        """What training keeps of the weights; some dense batches; a sparse copy of the data."""
        copies = (9 if self.config.self_condition else 6) * self.config.batch_size
        dense_batches = copies * (self.n_items + sum(self.config.dims))
        return self.weight_bytes + 4 * (dense_batches + 6 * int(dataset.train.nnz))
