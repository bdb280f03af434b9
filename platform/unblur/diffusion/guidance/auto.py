"""Autoguidance (Karras et al. 2024): the weak pass is a smaller network, trained beside, with the same condition."""

from pydantic import Field

from unblur.diffusion.guidance._rule import GuidanceConfig, Rule


class Config(GuidanceConfig):
    """Those of every rule, and the smaller network's size."""

    weak_share: float = Field(0.25, gt=0, le=1)
    """Size of the smaller network's layers, as a share."""


class Guidance(Rule):
    """weak + scale (strong - weak)."""

    config: Config

    @property
    def weak_share(self) -> float:
        return self.config.weak_share
