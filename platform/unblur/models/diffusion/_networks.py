"""The denoiser that a Config describes: its encoder inside, and what is wrapped around it."""

from functools import partial

from unblur.diffusion.denoiser import Conditioning, Denoiser, LearnedNull, LinearEnds
from unblur.diffusion.self_conditioning import SelfConditioned
from unblur.models.diffusion._config import DiffusionConfig


def network(config: DiffusionConfig, dim: int, n_items: int, null_condition: str, share: float = 1.0) -> Denoiser:
    """A network on x_t (B, dim) and histories (B, n_items), its layers being of that share of their sizes."""
    encoder, denoiser = config.part("encoder"), config.part("denoiser")
    own, settings = config.of(encoder.Config), config.of(denoiser.Config)
    size = encoder.Encoder.size(n_items, own)
    conditioning = Conditioning(n_items, size, partial(encoder.Encoder, n_items, own))
    made: Denoiser = denoiser.Network(dim, settings if share == 1 else settings.smaller(share), conditioning)
    if null_condition == "learned":
        made = LearnedNull(_with_linear_ends(made))
    return SelfConditioned(_with_linear_ends(made)) if config.self_condition else made


def _with_linear_ends(network: Denoiser) -> LinearEnds:
    assert isinstance(network, LinearEnds)  # the Config saw to it
    return network
