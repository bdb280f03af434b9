"""LT-DiffRec (Wang et al. 2023, section 3.4): L-DiffRec whose interactions weigh more the newer they are."""

from unblur.models.diffusion import l_diffrec
from unblur.parts import defaults


@defaults(w_min=0.1)
class Config(l_diffrec.Config):
    """The authors use w_min 0.1 (Amazon-book) and 0.5 (Yelp)."""


class Model(l_diffrec.Model):
    config_class = Config
