"""The denoiser that a Config describes: its encoder inside, and what is wrapped around it."""

from unblur.diffusion.denoiser import Conditioning, Denoiser, LearnedNull, LinearEnds
from unblur.diffusion.self_conditioning import SelfConditioned
from unblur.encoders import Encoder
from unblur.encoders._null import LearnedNullVector
from unblur.models.diffusion._config import DiffusionConfig
from unblur.spaces import Space


def network(config: DiffusionConfig, space: Space, n_items: int, null_condition: str, share: float = 1.0) -> Denoiser:
    """A network on x_t (B, space.dim) and a condition, its layers being of that share of their sizes."""
    denoiser = config.part("denoiser")
    settings = config.of(denoiser.Config)
    learned, beside = null_condition == "learned", issubclass(denoiser.Network, LinearEnds)
    conditioning = _conditioning(config, space, n_items, learned and not beside)
    made: Denoiser = denoiser.Network(space.dim, settings if share == 1 else settings.smaller(share), conditioning)
    if space.item_table is not None:
        made.share(space.item_table, space.item_std)
    if learned and beside:
        made = LearnedNull(_with_linear_ends(made))
    return SelfConditioned(_with_linear_ends(made)) if config.self_condition else made


def _conditioning(config: DiffusionConfig, space: Space, n_items: int, learned_null: bool) -> Conditioning:
    """The encoder, as the denoiser makes it; learned_null: with a learned vector in place of an empty history's."""
    encoder = config.part("encoder")
    own = config.of(encoder.Config)
    size = encoder.Encoder.size(n_items, own)

    def make() -> Encoder | LearnedNullVector:
        made: Encoder = encoder.Encoder(n_items, own)
        if space.item_table is not None:
            made.share(space.item_table, space.item_std)
        return LearnedNullVector(made, size) if learned_null else made

    return Conditioning(n_items, size, make)


def _with_linear_ends(network: Denoiser) -> LinearEnds:
    assert isinstance(network, LinearEnds)  # the Config saw to it
    return network
