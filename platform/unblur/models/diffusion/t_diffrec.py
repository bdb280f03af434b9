"""T-DiffRec (Wang et al. 2023, section 3.4): DiffRec whose interactions weigh more the newer they are (eq. 16)."""

from pydantic import Field

from unblur.models.diffusion import diffrec


class Config(diffrec.Config):
    """DiffRec's parameters; the authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""

    w_min: float = Field(0.1, ge=0)
    """Weight of a user's oldest interaction."""


class Model(diffrec.Model):
    config_class = Config
