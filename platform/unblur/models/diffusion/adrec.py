"""ADRec (Chen et al., KDD 2025): the next items of all places are denoised at once, each from a noise of its own.

The loss is cross-entropy and, beside it (`x0_weight`), the squared error. `as_published` is the authors' code (src/ of
Nemo-1024/ADRec) as far as its network goes (`unblur.denoisers.causal_mix`). What it does beside that is not followed:
embeddings that SASRec has learned before, and that stay as they are for five epochs; a learning rate that falls along a
cosine. There is no guidance: the scale is 1 and no history is dropped.
"""

from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.parts import ORDER, defaults


@defaults(
    space="item_embeddings",
    denoiser="causal_mix",
    pairing="every_place",
    guidance="classifier_free",
    p_uncond=0.0,
    loss="cross_entropy",
    x0_weight=1.0,
    embedding_dim=128,
    blocks=2,
    heads=4,
    max_length=50,
    reweight=False,
    time_sampling="uniform",
    schedule="linear_beta",
    T=32,
    noise_scale=1.0,
    noise_min=0.013125,
    noise_max=0.635,
    t_prime_share=1.0,
    sampler="fixed_large",
    batch_size=512,
)
class Config(DiffusionConfig):
    """The authors' settings for all data: two transformers of 2 blocks, 4 heads, d 128, 50 items, T 32, delta .001."""

    NEEDS = frozenset({ORDER})


class Model(DiffusionRecommender):
    config_class = Config
