"""CFG-DiffRec in the generative regime: from almost pure noise, guided by a condition that cannot simply be copied."""

from pydantic import Field

from unblur.models.diffusion import cfg_diffrec


class Config(cfg_diffrec.Config):
    """CFG-DiffRec's parameters with other defaults: the chain starts from noise, half of the condition is dropped."""

    noise_scale: float = Field(1.0, ge=0, le=1)
    """s; 0 means no noise at all."""
    noise_min: float = Field(0.1, gt=0)
    """Lower noise bound."""
    noise_max: float = Field(0.99, lt=1)
    """Upper noise bound."""
    t_prime_share: float = 1.0
    """T' = round(share T): forward steps before the reverse chain."""
    condition_dropout: float = Field(0.5, ge=0, lt=1)
    """Probability that training drops an item of the condition, so that the rest must be generated."""
    guidance_scale: float = Field(2.0, ge=0)
    """weak + scale (conditional - weak): 1 is plain conditional, 0 the weak pass alone."""


class Model(cfg_diffrec.Model):
    config_class = Config
