"""Every denoiser with every encoder, small: what contract tests go through."""

from functools import partial

import torch
from torch import Tensor

from unblur.denoisers import DENOISERS
from unblur.diffusion.condition import Condition, OrderedItems, WeightedRows
from unblur.diffusion.denoiser import Conditioning, Denoiser, LearnedNull, LinearEnds
from unblur.encoders import ENCODERS
from unblur.encoders._null import LearnedNullVector

N_ITEMS = 40


def conditioning(encoder: str, learned_null: bool = False) -> Conditioning:
    module = ENCODERS.get(encoder)
    own = module.Config()
    size, make = module.Encoder.size(N_ITEMS, own), partial(module.Encoder, N_ITEMS, own)
    return Conditioning(N_ITEMS, size, (lambda: LearnedNullVector(make(), size)) if learned_null else make)


def told(encoder: str, history: Tensor, denoiser: str = "mlp") -> Condition:
    """Sparse histories (B, N_ITEMS) as they are read; in order of the ids, if an order is."""
    parts = (ENCODERS.get(encoder), "Encoder"), (DENOISERS.get(denoiser), "Network")
    length = next((each for part, name in parts if (each := getattr(part, name).newest(part.Config()))), None)
    if length is None:
        return WeightedRows(history)
    there = history.to_dense() > 0
    ids = torch.where(there, torch.arange(N_ITEMS), N_ITEMS)
    newest = OrderedItems(ids, N_ITEMS).keep_items(there).tensor[:, -length:]
    return OrderedItems(newest, N_ITEMS)


def network(
    denoiser: str,
    encoder: str,
    dims: tuple[int, ...] = (12,),
    normalize: bool = False,
    learned_null: bool = False,
    dropout: float = 0.3,
    n: int = N_ITEMS,
) -> Denoiser:
    torch.manual_seed(0)
    module = DENOISERS.get(denoiser)
    given = {"dims": dims, "normalize": normalize, "dropout": dropout}
    config = module.Config(**{name: value for name, value in given.items() if name in module.Config.model_fields})
    beside = issubclass(module.Network, LinearEnds)
    made = module.Network(n, config, conditioning(encoder, learned_null and not beside))
    return (LearnedNull(made) if learned_null and beside else made).eval()


def conditioned(denoiser: str, encoder: str) -> bool:
    """Whether the pair's network is told anything of the history."""
    return encoder != "none" or DENOISERS.get(denoiser).Network.ATTENDS


PAIRS = [(denoiser, encoder) for denoiser in DENOISERS.names() for encoder in ENCODERS.names()]
CONDITIONED = [pair for pair in PAIRS if conditioned(*pair)]
ATTENDING = [
    (denoiser, encoder)
    for denoiser, encoder in CONDITIONED
    if DENOISERS.get(denoiser).Network.ATTENDS or not ENCODERS.get(encoder).Encoder.SIGNED
]
