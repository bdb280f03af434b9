"""One module per network, found by its name."""

from importlib import import_module
from inspect import signature
from typing import Any

from unblur.denoisers.base import Denoiser


def build(name: str, n_items: int, dims: tuple[int, ...], dropout: float, normalize: bool, **own: Any) -> Denoiser:
    """The network `name`; of its `own` parameters it gets those that it has."""
    network = import_module(f"{__name__}.{name}").Network
    known = signature(network).parameters
    built: Denoiser = network(n_items, dims, dropout, normalize, **{k: v for k, v in own.items() if k in known})
    return built
