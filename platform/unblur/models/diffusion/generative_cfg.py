"""CFG-DiffRec in the generative regime: from almost pure noise, guided by a condition that cannot simply be copied."""

from unblur.models.diffusion import cfg_diffrec
from unblur.parts import defaults


@defaults(noise_scale=1.0, noise_min=0.1, noise_max=0.99, t_prime_share=1.0, condition_dropout=0.5, guidance_scale=2.0)
class Config(cfg_diffrec.Config):
    """The chain starts from noise, and half of the condition is dropped."""


class Model(cfg_diffrec.Model):
    config_class = Config
