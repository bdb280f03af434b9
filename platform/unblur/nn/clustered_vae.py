"""A variational autoencoder with one encoder, and perhaps one decoder, per group of items."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unblur.nn.layers import linear_layer


class ClusteredVAE(nn.Module):
    """One encoder per group of items, all into one latent (Wang et al. 2023, section 3.3).

    in_dims: hidden sizes of the encoders together, the last being the latent's; a group has its share of each by its
    number of items. out_dims: hidden sizes of one decoder per group, or () for one linear layer from the whole
    latent to all items. The groups are part of the state, and loading a state takes them over.
    """

    groups: Tensor  # (n_items,) int64
    order: Tensor  # (n_items,) items sorted by group
    place: Tensor  # (n_items,) where each item is in `order`

    def __init__(self, n_items: int, n_groups: int, in_dims: tuple[int, ...], out_dims: tuple[int, ...]) -> None:
        super().__init__()
        self.n_groups, self.in_dims, self.out_dims = n_groups, in_dims, out_dims
        even = np.arange(n_items) * n_groups // n_items
        self.register_buffer("groups", torch.from_numpy(even))
        for name in ("order", "place"):
            self.register_buffer(name, torch.arange(n_items), persistent=False)
        self.sizes: list[int] = np.bincount(even, minlength=n_groups).tolist()
        self.encoders, self.decoders = self._layers()
        self.register_load_state_dict_pre_hook(_take_over_groups)  # type: ignore[no-untyped-call]

    def regroup(self, groups: Tensor) -> None:
        """Other groups (n_items,), from 0: the parameters get new shapes and random values, but stay the same objects.

        An optimiser that holds them therefore goes on holding them.
        """
        self.groups.copy_(groups)
        self.order.copy_(torch.argsort(self.groups, stable=True))
        self.place.copy_(torch.argsort(self.order))
        self.sizes = torch.bincount(self.groups, minlength=self.n_groups).tolist()
        fresh = nn.ModuleList(self._layers())
        for old, new in zip(
            [*self.encoders.modules(), *self.decoders.modules()], list(fresh.modules())[1:], strict=True
        ):
            if isinstance(old, nn.Linear) and isinstance(new, nn.Linear):
                old.in_features, old.out_features = new.in_features, new.out_features
                old.weight.data, old.bias.data = (p.data.to(old.weight.device) for p in (new.weight, new.bias))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, in_dims[-1]) of the latent of x (B, n_items)."""
        parts = torch.split(x[:, self.order], self.sizes, dim=1)
        moments = [encoder(part).chunk(2, dim=1) for encoder, part in zip(self.encoders, parts, strict=True)]
        mean, log_variance = (torch.cat(list(part), dim=1) for part in zip(*moments, strict=True))
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Logits (B, n_items) of the latent z (B, in_dims[-1])."""
        if not self.out_dims:
            logits: Tensor = self.decoders[0](z)
            return logits
        parts = torch.split(z, shares(self.sizes, self.in_dims[-1]), dim=1)
        return torch.cat([d(part) for d, part in zip(self.decoders, parts, strict=True)], dim=1)[:, self.place]

    def _layers(self) -> tuple[nn.ModuleList, nn.ModuleList]:
        hidden, latent = self.in_dims[:-1], self.in_dims[-1]
        own = [[shares(self.sizes, dim)[g] for dim in (*hidden, latent, *self.out_dims)] for g in range(self.n_groups)]
        k = len(hidden)
        encoders = [_layers([n, *dims[:k], 2 * dims[k]], True) for n, dims in zip(self.sizes, own, strict=True)]
        if not self.out_dims:
            return nn.ModuleList(encoders), nn.ModuleList([_layers([latent, len(self.groups)], False)])
        decoders = [_layers([*dims[k:], n], False) for n, dims in zip(self.sizes, own, strict=True)]
        return nn.ModuleList(encoders), nn.ModuleList(decoders)


def shares(sizes: Sequence[int], dim: int) -> list[int]:
    """How `dim` is divided by the groups' sizes: int(size / n_items dim), at least 1, the last group takes the rest.

    That is positive for sure when the last group is the largest and dim at least the square of the number of groups.
    """
    first = [max(1, int(size / sum(sizes) * dim)) for size in sizes[:-1]]
    return [*first, dim - sum(first)]


def _layers(widths: Sequence[int], tanh_at_end: bool) -> nn.Sequential:
    """Linear layers with tanh between them."""
    layers = [layer for a, b in pairwise(widths) for layer in (linear_layer(a, b), nn.Tanh())]
    return nn.Sequential(*(layers if tanh_at_end else layers[:-1]))


def _take_over_groups(codec: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    assert isinstance(codec, ClusteredVAE)
    groups = state.get(f"{prefix}groups")
    if groups is not None and groups.shape == codec.groups.shape and not groups.cpu().equal(codec.groups.cpu()):
        codec.regroup(groups)
