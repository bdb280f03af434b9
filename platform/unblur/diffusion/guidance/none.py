"""No guidance: the network knows nothing but x_t and t."""

from unblur.diffusion.guidance import _rule
from unblur.parts import PartConfig


class Config(PartConfig):
    """No parameters."""


class Guidance(_rule.Rule):
    """Scale 1 of a pass without condition."""

    CONDITIONAL = False

    def __init__(self, config: Config) -> None:
        super().__init__(_rule.GuidanceConfig(p_uncond=0))
