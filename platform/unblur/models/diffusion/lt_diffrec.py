"""LT-DiffRec (Wang et al. 2023, section 3.4): L-DiffRec whose interactions weigh more the newer they are."""

from pydantic import Field

from unblur.models.diffusion import l_diffrec


class Config(l_diffrec.Config):
    """L-DiffRec's parameters; the authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""

    w_min: float = Field(0.1, ge=0)
    """Weight of a user's oldest interaction."""


class Model(l_diffrec.Model):
    config_class = Config
