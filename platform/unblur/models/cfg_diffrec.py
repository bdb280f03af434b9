"""DiffRec with classifier-free guidance (Buchanan, Gauch, Mai 2024): the history is also the condition."""

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from unblur.denoisers.base import Denoiser
from unblur.diffusion.guidance import drop_items, drop_rows
from unblur.models import diffrec


class Config(diffrec.Config):
    """DiffRec's parameters and those of the condition."""

    denoiser: Literal["concat", "embedding"] = "concat"
    """How the condition enters the network."""
    embedding_dim: int = Field(64, ge=1)
    """Width of the condition's bottleneck (denoiser = embedding)."""
    p_uncond: float = Field(0.2, ge=0, lt=1)
    """Probability that training drops the whole condition."""
    condition_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training drops an item of the condition, so that the rest must be generated."""
    guidance_scale: float = Field(1.0, ge=0)
    """uncond + scale (cond - uncond): 1 is plain conditional, 0 unconditional."""

    @model_validator(mode="after")
    def _unconditional_is_trained(self) -> Self:
        if self.p_uncond == 0 and self.guidance_scale != 1:
            raise ValueError(
                f"p_uncond = 0 never trains the unconditional pass, so only guidance_scale = 1 has a meaning, "
                f"not {self.guidance_scale:g}"
            )
        return self


class Model(diffrec.Model):
    """DiffRec whose denoiser sees the history beside x_t, and whose prediction is guided."""

    config_class = Config
    config: Config

    def _network(self) -> Denoiser:
        own = {"embedding_dim": self.config.embedding_dim} if self.config.denoiser == "embedding" else {}
        return diffrec.build_denoiser(self.config.denoiser, self.n_items, self.config, **own)

    def _training_condition(self, rows: Tensor) -> Tensor | None:
        return drop_rows(drop_items(rows, self.config.condition_dropout), self.config.p_uncond)

    def _guidance(self, rows: Tensor) -> tuple[Tensor | None, float]:
        return rows, self.config.guidance_scale
