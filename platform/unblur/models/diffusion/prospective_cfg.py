"""The prospective regime: guided by what came before, what came later is generated from almost pure noise."""

from unblur.models.diffusion import generative_cfg
from unblur.parts import ORDER, defaults


@defaults(pairing="earlier_later", w_form="geometric", gamma=0.8, condition_dropout=0.2, normalize=True, reweight=False)
class Config(generative_cfg.Config):
    """Histories are cut at random; both parts weigh the more the nearer they are to the cut."""

    NEEDS = frozenset({ORDER})


class Model(generative_cfg.Model):
    config_class = Config
