"""DreamRec (Yang et al., NeurIPS 2023): the next item's embedding is generated from noise, guided by the history.

The authors' w is guidance_scale - 1. What their code (DreamRec.py of YangZhengyi98/DreamRec) does beside the paper
is not followed: it evaluates with dropout on, drops an evaluation's last incomplete batch, draws batches with
replacement, and ranks the padding row. With the linear denoiser a whole chain is one affine map
(`unblur.diffusion.affine_chain`).
"""

from unblur.models.diffusion._config import DiffusionConfig
from unblur.models.diffusion._recommender import DiffusionRecommender
from unblur.parts import ORDER, defaults


@defaults(
    space="item_embeddings",
    encoder="transformer",
    denoiser="linear",
    pairing="prefix_next",
    guidance="classifier_free",
    null_condition="learned",
    embedding_dim=64,
    max_length=10,
    p_uncond=0.1,
    guidance_scale=3.0,
    reweight=False,
    time_sampling="uniform",
    schedule="linear_beta",
    T=500,
    noise_scale=1.0,
    noise_min=1e-4,
    noise_max=0.02,
    t_prime_share=1.0,
    sampler="ancestral",
    batch_size=256,
)
class Config(DiffusionConfig):
    """The authors' settings for YooChoose and Zhihu: T 500, w 2, batches of 256, 10 items of a history, d 64."""

    NEEDS = frozenset({ORDER})


class Model(DiffusionRecommender):
    config_class = Config
