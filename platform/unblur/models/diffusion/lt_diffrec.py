"""LT-DiffRec (Wang et al. 2023, section 3.4): L-DiffRec whose interactions weigh more the newer they are."""

from typing import Annotated

from pydantic import Field

from unblur.models.diffusion import l_diffrec
from unblur.models.needs import ORDER, Needs


class Config(l_diffrec.Config):
    """L-DiffRec's parameters; the authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""

    w_min: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(0.1, ge=0)
    """Weight of a user's oldest interaction."""


class Model(l_diffrec.Model):
    config_class = Config
