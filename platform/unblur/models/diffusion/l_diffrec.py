"""L-DiffRec (Wang et al. 2023, section 3.3): diffusion in the latent space of a clustered VAE."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from unblur import denoisers
from unblur.data.dataset import Dataset, History
from unblur.models.base import Batch
from unblur.models.diffusion import diffrec
from unblur.models.diffusion._clusters import clusters
from unblur.models.diffusion._dislikes import Examples
from unblur.nn.sparse import dropped
from unblur.spaces.clustered_vae import ClusteredVAE

KL_UPDATES = 200
LAMBDA_EPOCHS, LAMBDA_FLOOR = 500, 0.005


class Config(diffrec.Config):
    """DiffRec's parameters, of the diffusion in the latent, and the VAE's; defaults are the authors' for ML-1M."""

    lr: float = Field(5e-4, gt=0)
    """Learning rate of the denoiser."""
    vae_lr: float = Field(1e-3, gt=0)
    """Learning rate of the VAE."""
    dims: tuple[int, ...] = Field((300,), min_length=1)
    """Hidden sizes of the denoiser from the middle outwards."""
    in_dims: tuple[int, ...] = Field((300,), min_length=1)
    """Hidden sizes of the encoders, all groups together; the last is the latent's."""
    out_dims: tuple[int, ...] = ()
    """Hidden sizes of one decoder per group; none: one linear layer from the whole latent to all items."""
    encoder_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout on the encoders' input."""
    n_groups: int = Field(2, ge=1, le=5)
    """C, groups of items."""
    item_embeddings: str = "lightgcn"
    """What k-means makes the groups of: lightgcn or svd of the train interactions, or a .npy file (n_items, d)."""
    diffusion_weight: float = Field(0.03, ge=0)
    """lambda; falls linearly over 500 epochs, to 0.005 at least. It weighs the diffusion's loss, or the VAE's where the
    diffusion's is not reweighted."""
    kl_weight: float = Field(0.3, ge=0)
    """The largest weight of the VAE's KL divergence, which would rise from 0 to 1 in 200 updates."""
    loss: Literal["squared_error"] = "squared_error"
    """The diffusion's loss; the items' is multinomial."""
    schedule: diffrec.ScheduleName = "linear_variance_exact"
    """Noise schedule: eq. 4, without DiffRec's first step."""
    T: int = Field(40, ge=1)
    """Diffusion steps."""
    noise_scale: float = Field(0.005, ge=0, le=1)
    """s; 0 means no noise at all."""
    noise_min: float = Field(0.005, gt=0)
    """Lower noise bound."""
    noise_max: float = Field(0.02, lt=1)
    """Upper noise bound."""


class Model(diffrec.Model):
    """The VAE and the denoiser are trained together; what is decoded is the denoised latent."""

    config_class = Config
    config: Config
    progress: tuple[int, int] = (0, 0)
    """Epochs and updates before the batch that was drawn last: what the annealed weights go by."""

    def _build(self) -> None:
        config = self.config
        self.codec = ClusteredVAE(self.n_items, config.n_groups, config.in_dims, config.out_dims)
        latent = config.in_dims[-1]
        self.network = self._wrapped(denoisers.build("mlp", latent, config.dims, config.dropout, config.normalize))
        self.weak = None

    def setup(self, dataset: Dataset) -> None:
        super().setup(dataset)
        if self.config.n_groups == 1:
            return
        groups = clusters(dataset, self.config.item_embeddings, self.config.n_groups, self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.codec.regroup(torch.from_numpy(groups))

    def batches(self, dataset: Dataset, epoch: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        per_epoch = -(-int(np.count_nonzero(np.diff(dataset.train.indptr))) // self.config.batch_size)
        for i, batch in enumerate(super().batches(dataset, epoch, rank, world)):
            self.progress = epoch, epoch * per_epoch + i
            yield batch

    def forward(self, examples: Examples) -> Tensor:
        """Losses (B,); what is to be decoded is the input as its dropout left it, as in the authors' code."""
        x = dropped(examples.rows.to_dense(), self.config.encoder_dropout)
        mean, log_variance = self.codec.encode(x)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        diffusion, denoised = self._diffuse(self.network, z, examples.condition)
        logits = self.codec.decode(denoised)
        likelihood = (x.clamp(min=0) * F.log_softmax(logits, dim=-1)).sum(-1)
        kl = -(1 + log_variance - mean.square() - log_variance.exp()).sum(-1) / 2
        kl_weight, lambda_ = self._annealed()
        vae = kl_weight * kl - likelihood
        both = lambda_ * diffusion + vae if self.config.reweight else diffusion + lambda_ * vae
        return both + self._triplet_loss(logits, examples)

    def _annealed(self) -> tuple[float, float]:
        """The weight of the KL divergence, which rises, and lambda, which falls."""
        epochs, updates = self.progress
        kl = min(self.config.kl_weight, updates / KL_UPDATES)
        return kl, max(self.config.diffusion_weight * (1 - epochs / LAMBDA_EPOCHS), LAMBDA_FLOOR)

    def optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": list(self.codec.parameters()), "lr": self.config.vae_lr},
            {"params": list(self.network.parameters()), "lr": self.config.lr},
        ]
        return torch.optim.AdamW(groups, weight_decay=self.config.weight_decay, fused=True)

    @torch.inference_mode()
    def score(self, history: History, users: NDArray[np.int64]) -> Tensor:
        rows, _ = self._tensors(self._matrices(history))
        latent, _ = self.codec.encode(rows.to_dense())
        return self.codec.decode(self._generate(latent, None, torch.from_numpy(users).to(self.device)))

    def footprint(self, dataset: Dataset) -> int:
        """DiffRec's, with the VAE's weights; the clustering's embeddings of users and items while they are trained."""
        return super().footprint(dataset) + 4 * 64 * 10 * (dataset.n_users + dataset.n_items)
