"""Multi-VAE (Liang et al. 2018): a variational autoencoder of the history, multinomial, with an annealed KL term."""

import torch
from pydantic import Field
from torch import Tensor

from unblur.models.autoencoders._autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    Histories,
    multinomial_loss,
    perceptron,
)


class Config(AutoencoderConfig):
    """The defaults are the paper's; `dims[0]` is the size of the latent."""

    kl_cap: float = Field(0.2, ge=0)
    """The largest weight of the KL term, beta in the paper."""
    anneal_steps: int = Field(200_000, ge=1)
    """Steps in which that weight would rise from 0 to 1."""


class Model(Autoencoder[Config]):
    config_class = Config

    def build(self) -> None:
        dims = self.config.dims
        self.encoder = perceptron((self.n_items, *dims[:0:-1], 2 * dims[0]))
        self.decoder = perceptron((*dims, self.n_items))

    def forward(self, examples: Histories) -> Tensor:
        """Negative ELBO (b,) with one sample of z (eq. 6)."""
        mean, log_variance = self.encode(examples.rows)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)
        return multinomial_loss(self.decoder(z), examples.rows) + self.beta(examples.update) * kl

    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.encode(rows)[0])
        return logits

    def encode(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (b, dims[0]) of q(z | x)."""
        mean, log_variance = self.encoder(self.corrupted(rows)).chunk(2, dim=-1)
        return mean, log_variance

    def beta(self, update: int) -> float:
        """The weight of the KL term at a step."""
        return min(self.config.kl_cap, update / self.config.anneal_steps)
