"""The diffusion recommender: space x encoder x denoiser x process x objective x pairing, one class for all recipes.

x_0 = space.target(history)            c = denoiser.encode(history)     x_t = process.q_sample(x_0, t, noise)
x_0_hat = guided(denoiser, x_t, t, c)  scores = space.scores(x_0_hat)   loss = objective(x_0_hat, x_0, scores) weight(t)
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.data.artefacts import Artefact
from unblur.data.dataset import Dataset, History
from unblur.diffusion.condition import Condition, EveryPlace
from unblur.diffusion.denoiser import Denoiser
from unblur.diffusion.expert import Expert
from unblur.diffusion.guided_sampler import GuidedSampler, Memo
from unblur.diffusion.noise import row_noise
from unblur.diffusion.objective import Denoised
from unblur.diffusion.predictions import PREDICTIONS
from unblur.diffusion.process import Process
from unblur.diffusion.samplers import SAMPLERS
from unblur.diffusion.sampling import reverse_steps, thinned
from unblur.diffusion.schedules import SCHEDULES
from unblur.diffusion.self_conditioning import SelfConditioned
from unblur.diffusion.step_sampling import StepSampler
from unblur.diffusion.triplets import triplet_losses
from unblur.models.base import Batch, Operations, TrainableRecommender
from unblur.models.batching import epoch_rng, shares
from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._examples import Examples, weighted
from unblur.models.diffusion._expert import ExpertMatrix, LinearExpert
from unblur.models.diffusion._networks import network
from unblur.models.diffusion._others import OtherHistories
from unblur.models.files import load_model, save_model
from unblur.models.needs import refuse_unmet
from unblur.nn.sparse import dense, from_scipy
from unblur.pairings import Pairs
from unblur.spaces import Moment, Space

EXPERT = "expert.matrix"
"""In a saved model's file. It is no part of the state that training copies and keeps in checkpoints."""


class DiffusionRecommender(TrainableRecommender[DiffusionConfig]):
    """A recipe's Config says which parts it is made of; there is nothing to override."""

    config_class: ClassVar[type[DiffusionConfig]] = DiffusionConfig
    DIFFUSION = True

    def __init__(self, config: DiffusionConfig, n_users: int, n_items: int, seed: int = 0) -> None:
        super().__init__(config, n_users, n_items, seed)
        prediction = PREDICTIONS.get(config.prediction)()
        bounds = (config.noise_scale, config.noise_min, config.noise_max)
        betas = SCHEDULES.get(config.schedule)(config.T, *bounds) if config.noise_scale > 0 else None
        self.process = Process(betas, config.T, prediction)
        self.steps = StepSampler(config.T, config.time_sampling == "importance")
        self.objective = config.part("loss").Objective(config.of(config.part("loss").Config), prediction)
        self.pairing = config.part("pairing").Pairing(config.of(config.part("pairing").Config))
        self._rule = config.part("guidance")
        rule = self.guidance
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            space = config.part("space")
            self.space: Space = space.Space(n_items, config.of(space.Config))
            made = partial(network, config, self.space, n_items, rule.config.null_condition)
            self.network = made()
            self.weak = None if rule.weak_share is None else made(rule.weak_share)
        self._memo = Memo()
        self._expert: LinearExpert | None = None
        self._others: OtherHistories | None = None

    @property
    def guidance(self) -> Any:
        """The guidance rule with the parameters of now: its scale may change between evaluations."""
        return self._rule.Guidance(self.config.of(self._rule.Config))

    # training

    @classmethod
    def artefacts(cls, config: DiffusionConfig) -> Sequence[Artefact]:
        space = config.part("space")
        of_space: Sequence[Artefact] = space.Space.artefacts(config.of(space.Config))
        return of_space if config.expert is None else (*of_space, ExpertMatrix.of(config.expert))

    def setup(self, dataset: Dataset) -> None:
        refuse_unmet(self.config, dataset)
        self.space.setup(dataset, self.seed)
        if self.guidance.OTHERS:
            self._others = OtherHistories.drawn(dataset.history(), self.seed)
        if self.config.expert is not None:
            refuse_unmet(self.config.expert.config(), dataset)
            matrix = dataset.artefacts[ExpertMatrix.of(self.config.expert).name]
            self._expert = LinearExpert(self.config.expert, torch.from_numpy(matrix))

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        rng = epoch_rng(self.seed, epoch)
        pairs = self.pairing.divide(dataset.history(), rng)
        rows = weighted(self.config, pairs, self.guidance.config.condition_w_min)
        disliked = dataset.disliked if self.config.triplet_weight else None
        for share in shares(pairs.examples, self.config.batch_size, rng, epoch, rank, world):
            whose = pairs.users[pairs.rows(share.rows)]
            low = None if disliked is None else from_scipy(disliked[whose], self.device)
            moment = Moment(share.epoch, share.update)
            yield Batch(Examples(*rows.on(self.device, share.rows), low, moment), len(pairs.rows(share.whole)))

    def forward(self, examples: Examples) -> Tensor:
        losses = self._losses(self.network, examples)
        return losses if self.weak is None else losses + self._losses(self.weak, examples)

    def _losses(self, network: Denoiser, examples: Examples) -> Tensor:
        """Losses (b,) of one network."""
        target = self.space.target(examples.rows)
        t, spread = self.steps.draw(len(target.x_0))
        denoised = self._denoised(network, target.x_0, t, examples.condition)
        losses = self.objective(denoised, examples.rows)
        if self.config.reweight and self.objective.WEIGHTED:
            losses = losses * self.process.weights[t]
        self.steps.record(t, losses.detach())
        losses = self.space.loss(losses / spread, denoised, target, examples.moment)
        if examples.disliked is None:
            return losses
        return losses + self.config.triplet_weight * triplet_losses(denoised.scores, examples.rows, examples.disliked)

    def _denoised(self, network: Denoiser, x_0: Tensor, t: Tensor, condition: Condition) -> Denoised:
        """x_0 (b, dim) noised to the steps t (b,), and what the network makes of it, given the condition."""
        noise = torch.randn_like(x_0)
        told = self.guidance.drop(self.pairing.corrupt(condition, self.space.item_table))
        c = network.encode(told)
        table = self.space.item_table if isinstance(told, EveryPlace) else None

        def denoise(x_0: Tensor, noise: Tensor) -> Denoised:
            x_t = x_0 if self.process.noiseless else self.process.q_sample(x_0, t, noise)
            known = c
            if isinstance(network, SelfConditioned):
                activation = self.objective.activation(x_0) or (lambda output: output)
                known = network.shown(x_t, t, c, lambda output: self.process.to_x0(activation(output), x_t, t))
            output: Tensor = network(x_t, t, known)
            x_0_hat = self.process.to_x0(output, x_t, t)
            return Denoised(x_0, x_t, noise, t, output, x_0_hat, told, self.space.scores, another, table)

        def another(x_0: Tensor) -> Denoised:
            return denoise(x_0, torch.randn_like(x_0))

        return denoise(x_0, noise)

    def optimizer(self) -> torch.optim.Optimizer:
        of_space = list(self.space.parameters())
        own = {id(parameter) for parameter in of_space}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in own]
        groups = [{"params": of_space, "lr": self.space.lr or self.config.lr}] if of_space else []
        groups.append({"params": rest, "lr": self.config.lr})
        return torch.optim.AdamW(groups, weight_decay=self.config.weight_decay, fused=True)

    def train(self, mode: bool = True) -> Self:
        if mode:
            self._memo = Memo()  # what belongs to the weights of one evaluation
        return super().train(mode)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        self._memo = Memo()
        return super().load_state_dict(*arguments, **options)

    # inference

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows, condition = self._told(history)
        given = condition if self.guidance.CONDITIONAL else None
        sampler = self._sampler(x_0 := self.space.start(rows), self._opinion(history), self._beside(history))
        return self.space.scores(self._generated(sampler, x_0, given, torch.tensor(users, device=self.device)))

    def _told(self, history: History) -> tuple[Tensor, Condition]:
        """What x_0 is made of at the chain's start, and the condition, of whole histories."""
        rows = weighted(self.config, Pairs.by_user(history, history), self.guidance.config.condition_w_min)
        return rows.on(self.device)

    def _beside(self, history: History) -> Callable[[], Condition] | None:
        """What a weak pass is told in place of these histories, where it is told of other users."""
        others = self._others
        return None if others is None else lambda: self._told(others.beside(history))[1]

    def _generated(self, sampler: GuidedSampler, x_0: Tensor, condition: Condition | None, users: Tensor) -> Tensor:
        """The mean (b, dim) over the reverse chains from x_{T'} of x_0 (b, dim), which may be sparse."""
        count = self.config.samples if sampler.draws or self._starts_noised else 1
        streams = range(0, count * (self.config.T + 1), self.config.T + 1)  # of noise: the start's, then each step's
        total = reduce(torch.add, (self._chain(sampler, x_0, condition, users, first) for first in streams))
        return total if count == 1 else total / count

    def _chain(
        self, sampler: GuidedSampler, x: Tensor, condition: Condition | None, users: Tensor, stream: int
    ) -> Tensor:
        """One reverse chain, from T' forward steps at once or from x (b, dim) itself."""

        def noise(offset: int) -> Tensor:
            return row_noise(self.seed, users, x.shape[1], stream + offset)

        start = x
        if self._starts_noised:
            start = self.process.q_sample(dense(x), torch.full_like(users, self.config.T_prime - 1), noise(0))
        return sampler.run(start, condition, lambda t: noise(t + 1), self._memo)

    @property
    def _starts_noised(self) -> bool:
        return self.config.T_prime > 0 and not self.process.noiseless

    def _opinion(self, history: History) -> Expert | None:
        """What the expert says of these histories, where it has a weight."""
        if self._expert is None or self.config.expert_weight == 0:
            return None
        _, worth = self.process.prediction.to_x0(self.process.alpha_bar)
        weights = (self.config.expert_weight / worth).tolist()
        return Expert(self._expert.opinion(history, self.device), self._expert.matrix, weights)

    def _sampler(self, x_0: Tensor, expert: Expert | None, others: Callable[[], Condition] | None) -> GuidedSampler:
        sampler, count = self.config.sampler, self.config.reverse_steps or self.config.T
        kept = thinned(self.config.T, count)
        steps = self._memo.get((sampler, count), lambda: reverse_steps(self.process, SAMPLERS.get(sampler), kept))
        scales, activation = self.guidance.scales(self.config.T), self.objective.activation(x_0)
        return GuidedSampler(self.network, self.weak, steps, scales, self.process.to_x0, activation, expert, others)

    # files and sizes

    def save(self, folder: Path) -> None:
        extra = {"n_users": self.n_users, "n_items": self.n_items, "seed": self.seed}
        expert = {} if self._expert is None else {EXPERT: self._expert.matrix}
        others = {} if self._others is None else self._others.tensors()
        save_model(folder, self.config, {**self.state_dict(), **expert, **others}, extra)

    @classmethod
    def load(cls, folder: Path) -> Self:
        config, tensors, extra = load_model(folder, cls.config_class)
        model, matrix = cls(config, **extra), tensors.pop(EXPERT, None)
        model._others = OtherHistories.taken(tensors, model.n_items)
        model.load_state_dict(tensors)
        if config.expert is not None and matrix is not None:
            model._expert = LinearExpert(config.expert, matrix)
        return model.eval()

    def operations(self, dataset: Dataset) -> Operations:
        """The default's, which is of one example of each user, for the pairing's; and three passes over histories."""
        lengths = self.pairing.lengths(dataset)
        pairs = len(lengths) * self.pairing.of_example(dataset)
        of_users, share = super().operations(dataset), pairs / max(1, dataset.n_users)
        parts = ((self.config.part(field), name) for field, name in (("encoder", "Encoder"), ("denoiser", "Network")))
        passes = sum(getattr(part, name).work(self.config.of(part.Config), lengths) for part, name in parts)
        return Operations(of_users.products * share + 3 * passes, of_users.elements * share)

    def footprint(self, dataset: Dataset) -> int:
        """The default; self-conditioning's passes; vectors of entries that are attended to; the expert; the space's."""
        config, entries = self.config, int(dataset.train.nnz)
        passes = 3 * config.batch_size * self.n_items if config.self_condition else 0
        encoder = config.part("encoder")
        denoiser = config.part("denoiser")
        attended: int = denoiser.Network.kept(config.of(denoiser.Config), config.batch_size, entries)
        encoded: int = encoder.Encoder.kept(config.of(encoder.Config), config.batch_size, entries)
        expert = 0 if config.expert is None else self.n_items**2 + 2 * self.n_items * max(getattr(config, "dims", (0,)))
        rows = config.batch_size * self.pairing.of_example(dataset) if self.space.OF_COUNTS else config.batch_size
        own = 4 * (passes + attended + encoded + expert + round(8 * (rows - config.batch_size)) * self.n_items)
        return super().footprint(dataset) + own + self.space.footprint(dataset)
