"""T-DiffRec (Wang et al. 2023, section 3.4): DiffRec whose interactions weigh more the newer they are (eq. 16)."""

from unblur.models.diffusion import diffrec
from unblur.parts import defaults


@defaults(w_min=0.1)
class Config(diffrec.Config):
    """The authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""


class Model(diffrec.Model):
    config_class = Config
