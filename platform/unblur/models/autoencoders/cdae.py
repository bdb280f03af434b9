"""CDAE (Wu et al. 2016): a denoising autoencoder with one hidden layer and a node for each user."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from unblur.models.autoencoders._autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    Histories,
    multinomial_loss,
    perceptron,
)

ACTIVATIONS = {"sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "identity": nn.Identity()}


class Config(AutoencoderConfig):
    """`dims` holds one size."""

    dims: tuple[int] = (200,)
    """Hidden size."""
    normalize: bool = False
    """Scale the input rows to length 1."""
    activation: Literal["sigmoid", "tanh", "identity"] = "sigmoid"
    """Of the hidden layer; the paper tries sigmoid and identity."""
    loss: Literal["logistic", "squared_error", "multinomial"] = "logistic"
    """Pointwise losses of the paper, or Multi-DAE's likelihood."""
    negatives: float = Field(5.0, gt=0)
    """Items without interaction that count for each one with (logistic, squared_error)."""


class Model(Autoencoder[Config]):
    KNOWN_USERS_ONLY = True
    config_class = Config

    def build(self) -> None:
        (width,) = self.config.dims
        self.input, _, self.output = perceptron((self.n_items, width, self.n_items))
        self.users = nn.Embedding(self.n_users, width)
        nn.init.normal_(self.users.weight, 0.0, 0.01)

    def predict(self, rows: Tensor, users: Tensor) -> Tensor:
        hidden = ACTIVATIONS[self.config.activation](self.input(self.corrupted(rows)) + self.users(users))
        logits: Tensor = self.output(hidden)
        return logits

    def forward(self, examples: Histories) -> Tensor:
        output = self.predict(examples.rows, examples.users)
        if self.config.loss == "multinomial":
            return multinomial_loss(output, examples.rows)
        x = examples.rows.to_dense()
        weight = torch.where(x > 0, x, self.negative_weight(examples.rows))  # recency weighs the positives
        target = (x > 0).to(x.dtype)
        if self.config.loss == "logistic":
            return F.binary_cross_entropy_with_logits(output, target, weight, reduction="none").sum(-1)
        return (weight * (output - target).square()).sum(-1)

    def negative_weight(self, rows: Tensor) -> Tensor:
        """(b, 1): how often the paper would sample each item that a user does not have, in the mean.

        The expectation of its sampled loss: the same gradient without the variance, and no sampling.
        """
        n_positive = rows.crow_indices().diff().unsqueeze(-1)
        return self.config.negatives * n_positive / (self.n_items - n_positive).clamp(min=1)
