"""The contract of a guidance rule, and the parameters that all rules with a condition share."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unblur.diffusion.condition import Condition
from unblur.diffusion.guidance import drop_histories
from unblur.diffusion.ramps import RAMPS
from unblur.parts import ORDER, Needs, PartConfig
from unblur.registry import known


class GuidanceConfig(PartConfig):
    """Parameters of every rule that guides by a condition."""

    INFERENCE = frozenset({"guidance_scale", "guidance_ramp"})

    p_uncond: float = Field(0.2, ge=0, lt=1)
    """Probability that training drops the whole condition."""
    null_condition: Literal["zero", "learned"] = "zero"
    """What the network sees of a dropped condition."""
    condition_w_min: Annotated[float | None, Needs(ORDER, neutral=1.0)] = Field(None, ge=0)
    """Weight of the oldest interaction in the condition, the newest being 1 [weighted as the input is]."""
    guidance_scale: float = Field(1.0, ge=0)
    """weak + scale (conditional - weak): 1 is plain conditional, 0 the weak pass alone."""
    guidance_ramp: Annotated[str, known(RAMPS)] = "constant"
    """How the scale grows from 1 at the noisiest step to guidance_scale at the last."""


class Rule:
    """A part of `unblur.diffusion.guidance`: one file with this class, named `Guidance`, and its `Config`."""

    CONDITIONAL: ClassVar[bool] = True
    """Whether there is a condition at all."""
    OTHERS: ClassVar[bool] = False
    """Whether the weak pass is told of another user's history; otherwise of none."""

    def __init__(self, config: GuidanceConfig) -> None:
        self.config = config

    @property
    def weak_share(self) -> float | None:
        """Size, as a share, of a smaller network that makes the weak pass; None: the network without the condition."""
        return None

    def drop(self, condition: Condition) -> Condition:
        """The condition without the histories that training drops."""
        return drop_histories(condition, self.config.p_uncond)

    def scales(self, T: int) -> list[float]:
        """The guidance scales of the steps 0 ... T-1."""
        return ramp_up(T, self.config.guidance_scale, self.config.guidance_ramp)


def ramp_up(T: int, scale: float, ramp: str) -> list[float]:
    """Scales of the steps 0 ... T-1: from 1 at the noisiest step T-1 to `scale` at the last step 0.

    Growing scales do best with images (Wang et al. 2024). A scale of 1 is 1 at every step, whatever the ramp.
    """
    share = RAMPS.get(ramp)
    return [1 + share(1 - t / (T - 1) if T > 1 else 1.0) * (scale - 1) for t in range(T)]
