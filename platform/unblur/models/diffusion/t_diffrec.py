"""T-DiffRec (Wang et al. 2023, section 3.4): DiffRec whose interactions weigh more the newer they are (eq. 16)."""

from typing import Annotated

from pydantic import Field

from unblur.models.diffusion import diffrec
from unblur.models.needs import ORDER, Needs


class Config(diffrec.Config):
    """DiffRec's parameters; the authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""

    w_min: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(0.1, ge=0)
    """Weight of a user's oldest interaction."""


class Model(diffrec.Model):
    config_class = Config
