"""DiffRec with classifier-free guidance (Buchanan, Gauch, Mai 2024): the history is also the condition."""

from unblur.models.diffusion import diffrec
from unblur.parts import defaults


@defaults(encoder="bag", guidance="classifier_free", pairing="partial")
class Config(diffrec.Config):
    """The paper's network; the whole history is the condition unless condition_dropout says otherwise."""


class Model(diffrec.Model):
    config_class = Config
    UNGUIDED = "diffrec"
