"""CODIGEM (Walker et al. 2022): a diffusion of the history, one network for each reverse step, and a decoder."""

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from unblur.data.dataset import Dataset
from unblur.models.autoencoders._autoencoder import Autoencoder, AutoencoderConfig, Histories, perceptron


class Config(AutoencoderConfig):
    """The defaults are those of the authors' code."""

    batch_size: int = Field(200, ge=1)
    """Users per step, over all workers."""
    dims: tuple[int, ...] = Field((200, 200, 200, 200, 200), min_length=1)
    """Hidden sizes of each network, in order."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training hides an item of the input."""
    normalize: bool = False
    """Scale the input rows to length 1."""
    T: int = Field(3, ge=1)
    """Diffusion steps."""
    noise: float = Field(1e-4, gt=0, lt=1)
    """beta, the variance that each step adds."""
    reverse: bool = False
    """Recommend from the end of the reverse chain. The authors' code does not: it decodes z_1 of the history."""


class Model(Autoencoder[Config]):
    """z_1 .. z_T from the history x, a Gaussian p(z_t | z_{t+1}) per step, and the decoder E[x | z_1].

    The reverse networks share nothing with the decoder, and the ELBO is a sum over both. So without `reverse` they
    cannot change what is recommended, and are neither built nor trained.
    """

    config_class = Config
    DIFFUSION = True

    def build(self) -> None:
        dims, n = self.config.dims, self.n_items
        steps = self.config.T - 1 if self.config.reverse else 0
        self.decoder = nn.Sequential(*perceptron((n, *dims, n), nn.PReLU), nn.Tanh())
        self.steps = nn.ModuleList(perceptron((n, *dims, 2 * n), nn.PReLU) for _ in range(steps))

    def forward(self, examples: Histories) -> Tensor:
        """Negative ELBO (b,) up to a constant: no parameter is in the entropies, nor in z_T's prior."""
        x = examples.rows.to_dense()
        z = self.diffused(self.corrupted(x))
        loss: Tensor = 0.5 * (x - self.decoder(z)).square().sum(-1)
        for step in self.steps:
            before, z = z, self.diffused(z)
            mean, log_variance = step(z).chunk(2, dim=-1)
            loss += 0.5 * (log_variance + (before - mean).square() * torch.exp(-log_variance)).sum(-1)
        return loss

    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        """The decoded mean: no noise is drawn at inference."""
        keep = math.sqrt(1 - self.config.noise)
        z = keep * self.corrupted(rows).to_dense()
        if self.config.reverse:
            z = z * keep ** (self.config.T - 1)
            for step in reversed(self.steps):
                z = step(z).chunk(2, dim=-1)[0]
        scores: Tensor = self.decoder(z)
        return scores

    def diffused(self, z: Tensor) -> Tensor:
        """One forward step: sqrt(1 - beta) z + sqrt(beta) eps."""
        return math.sqrt(1 - self.config.noise) * z + math.sqrt(self.config.noise) * torch.randn_like(z)

    def footprint(self, dataset: Dataset) -> int:
        """An autoencoder's, two more copies of the weights in Adamax's step, and what noise and reverse steps keep."""
        dense_batches = (4 + 5 * len(self.steps)) * self.config.batch_size * self.n_items
        return super().footprint(dataset) + 8 * self.parameter_count + 4 * dense_batches

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adamax(self.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay)
