"""The latent of a VAE with an encoder per group of items (L-DiffRec, Wang et al. 2023, section 3.3)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from unblur import spaces
from unblur.data.artefacts import Artefact, ItemEmbeddings
from unblur.data.dataset import Dataset
from unblur.diffusion.objective import Denoised
from unblur.nn.clustered_vae import ClusteredVAE
from unblur.nn.sparse import dropped
from unblur.parts import PartConfig
from unblur.spaces import Moment, Target

KL_UPDATES = 200
LAMBDA_EPOCHS, LAMBDA_FLOOR = 500, 0.005


class Config(PartConfig):
    """The VAE's parameters; the defaults are the authors' for ML-1M."""

    vae_lr: float = Field(1e-3, gt=0)
    """Learning rate of the VAE."""
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
    reweight: bool = True
    """As the diffusion's."""


class Space(spaces.Space):
    """VAE and denoiser are trained together, gradients flow through the latent, and the denoised latent is decoded."""

    def __init__(self, n_items: int, config: Config) -> None:
        super().__init__()
        self.config, self.dim = config, config.in_dims[-1]
        self.vae = ClusteredVAE(n_items, config.n_groups, config.in_dims, config.out_dims)

    @classmethod
    def artefacts(cls, config: Config) -> Sequence[Artefact]:
        return () if config.n_groups == 1 else (ItemEmbeddings(config.item_embeddings),)

    def setup(self, dataset: Dataset, seed: int) -> None:
        if self.config.n_groups == 1:
            return
        embeddings = dataset.artefacts[ItemEmbeddings(self.config.item_embeddings).name]
        groups = grouped(embeddings, self.config.n_groups, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.vae.regroup(torch.from_numpy(groups))

    def target(self, rows: Tensor) -> Target:
        """A sample of the latent. What is to be decoded is what dropout left of the input, as in the authors' code."""
        x = dropped(rows.to_dense(), self.config.encoder_dropout)
        mean, log_variance = self.vae.encode(x)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return Target(z, (x, mean, log_variance))

    def start(self, rows: Tensor) -> Tensor:
        mean: Tensor = self.vae.encode(rows.to_dense())[0]
        return mean

    def scores(self, x_0: Tensor) -> Tensor:
        logits: Tensor = self.vae.decode(x_0)
        return logits

    def loss(self, diffusion: Tensor, denoised: Denoised, target: Target, moment: Moment) -> Tensor:
        """lambda diffusion + VAE, or diffusion + lambda VAE without the steps' weights, as in the authors' code."""
        x, mean, log_variance = target.details
        likelihood = (x.clamp(min=0) * F.log_softmax(denoised.scores, dim=-1)).sum(-1)
        kl = -(1 + log_variance - mean.square() - log_variance.exp()).sum(-1) / 2
        kl_weight, lambda_ = self.annealed(moment)
        vae: Tensor = kl_weight * kl - likelihood
        return lambda_ * diffusion + vae if self.config.reweight else diffusion + lambda_ * vae

    def annealed(self, moment: Moment) -> tuple[float, float]:
        """The weight of the KL divergence, which rises, and lambda, which falls."""
        kl = min(self.config.kl_weight, moment.update / KL_UPDATES)
        return kl, max(self.config.diffusion_weight * (1 - moment.epoch / LAMBDA_EPOCHS), LAMBDA_FLOOR)

    def footprint(self, dataset: Dataset) -> int:
        """The embeddings of users and items while the groups are made."""
        return 4 * 64 * 10 * (dataset.n_users + dataset.n_items)

    @property
    def lr(self) -> float:
        return self.config.vae_lr


def grouped(embeddings: NDArray[np.float32], n_groups: int, seed: int) -> NDArray[np.int64]:
    """The group (n_items,) of every item by k-means of the embeddings (n_items, d), the smallest group being 0."""
    from sklearn.cluster import KMeans  # slow to import, and needed by this choice alone

    labels = KMeans(n_groups, n_init=10, random_state=seed).fit_predict(embeddings)
    by_size = np.argsort(np.bincount(labels, minlength=n_groups), kind="stable")
    return np.asarray(np.argsort(by_size)[labels], dtype=np.int64)
