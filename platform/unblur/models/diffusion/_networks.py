"""The denoiser that a Config describes: its encoder inside, and what is wrapped around it."""

from functools import partial

from unblur.diffusion.denoiser import Conditioning, Denoiser, LearnedNull, LinearEnds
from unblur.diffusion.self_conditioning import SelfConditioned
from unblur.encoders._null import LearnedNullVector
from unblur.models.diffusion._config import DiffusionConfig


def network(config: DiffusionConfig, dim: int, n_items: int, null_condition: str, share: float = 1.0) -> Denoiser:
    """A network on x_t (B, dim) and a condition, its layers being of that share of their sizes."""
    denoiser = config.part("denoiser")
    settings = config.of(denoiser.Config)
    learned, beside = null_condition == "learned", issubclass(denoiser.Network, LinearEnds)
    conditioning = _conditioning(config, n_items, learned and not beside)
    made: Denoiser = denoiser.Network(dim, settings if share == 1 else settings.smaller(share), conditioning)
    if learned and beside:
        made = LearnedNull(_with_linear_ends(made))
    return SelfConditioned(_with_linear_ends(made)) if config.self_condition else made


def _conditioning(config: DiffusionConfig, n_items: int, learned_null: bool) -> Conditioning:
    """The encoder, as the denoiser makes it; learned_null: with a learned vector in place of an empty history's."""
    encoder = config.part("encoder")
    own = config.of(encoder.Config)
    size, make = encoder.Encoder.size(n_items, own), partial(encoder.Encoder, n_items, own)
    return Conditioning(n_items, size, (lambda: LearnedNullVector(make(), size)) if learned_null else make)


def _with_linear_ends(network: Denoiser) -> LinearEnds:
    assert isinstance(network, LinearEnds)  # the Config saw to it
    return network
