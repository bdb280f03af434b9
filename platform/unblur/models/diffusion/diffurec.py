"""DiffuRec (Li et al., TOIS 2023): a transformer of the history with x_t mixed into every item, trained to rank.

The paper's, with positions and without a look at padding; `as_published` is the authors' code (src/model.py and
src/diffurec.py of WHUIR/DiffuRec), in which the positions are commented out, and the mask is one of queries, so that
padding is attended to. What it does beside that is not followed: lambda is drawn anew in evaluations (here it is its
mean, so that two evaluations are equal), and padding can be recommended. Of x_t so little is mixed in (`mixing`, their
delta) that x_0_hat hardly depends on it. There is no guidance: the scale is 1 and no history is dropped.
"""

from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.parts import ORDER, defaults


@defaults(
    space="item_embeddings",
    denoiser="token_mix",
    pairing="prefix_next",
    guidance="classifier_free",
    p_uncond=0.0,
    loss="cross_entropy",
    embedding_dim=128,
    blocks=4,
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
    sampler="ancestral",
    batch_size=512,
)
class Config(DiffusionConfig):
    """The authors' settings for all data: 4 blocks and heads, d 128, 50 items of a history, T 32, delta .001."""

    NEEDS = frozenset({ORDER})


class Model(DiffusionRecommender):
    config_class = Config
