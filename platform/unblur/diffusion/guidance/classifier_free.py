"""Classifier-free guidance (Ho & Salimans 2022): the weak pass is the same network without the condition."""

from typing import Self

from pydantic import model_validator

from unblur.diffusion.guidance import need_unconditional_pass
from unblur.diffusion.guidance._rule import GuidanceConfig, Rule


class Config(GuidanceConfig):
    """Those of every rule."""

    @model_validator(mode="after")
    def _weak_pass_is_trained(self) -> Self:
        need_unconditional_pass(self.p_uncond, self.guidance_scale)
        return self


class Guidance(Rule):
    """unconditional + scale (conditional - unconditional)."""
