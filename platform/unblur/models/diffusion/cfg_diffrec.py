"""DiffRec with classifier-free guidance (Buchanan, Gauch, Mai 2024): the history is also the condition."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur import denoisers
from unblur.data.dataset import Dataset, History
from unblur.denoisers.base import Denoiser, LearnedNull, LinearEnds
from unblur.diffusion.guidance import drop_items, drop_rows, need_unconditional_pass, scale_at
from unblur.models.diffusion import diffrec
from unblur.models.diffusion._dislikes import Examples
from unblur.models.needs import ORDER, Needs


class Config(diffrec.Config):
    """DiffRec's parameters and those of the condition."""

    INFERENCE = diffrec.Config.INFERENCE | {"guidance_scale", "guidance_ramp"}

    denoiser: Literal["concat", "embedding", "cross_attention", "self_attention", "transformer"] = "concat"
    """How the condition enters the network."""
    embedding_dim: int = Field(64, ge=1)
    """Width of the condition's bottleneck or of its items (denoiser = embedding, cross_attention, self_attention)."""
    p_uncond: float = Field(0.2, ge=0, lt=1)
    """Probability that training drops the whole condition."""
    null_condition: Literal["zero", "learned"] = "zero"
    """What the network sees of a dropped condition."""
    condition_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training drops an item of the condition, so that the rest must be generated."""
    condition_w_min: Annotated[float | None, Needs(ORDER, neutral=1.0)] = Field(None, ge=0)
    """Weight of the oldest interaction in the condition, the newest being 1 [weighted as the input is]."""
    guidance: Literal["classifier_free", "auto"] = "classifier_free"
    """The weak pass: without the condition, or by a smaller network trained beside (autoguidance)."""
    weak_share: float = Field(0.25, gt=0, le=1)
    """Size of the smaller network's layers, as a share (guidance = auto)."""
    guidance_scale: float = Field(1.0, ge=0)
    """weak + scale (conditional - weak): 1 is plain conditional, 0 the weak pass alone."""
    guidance_ramp: Literal["constant", "linear", "cosine"] = "constant"
    """How the scale grows from 1 at the noisiest step to guidance_scale at the last."""

    @model_validator(mode="after")
    def _weak_pass_is_trained(self) -> Self:
        if self.guidance == "classifier_free":
            need_unconditional_pass(self.p_uncond, self.guidance_scale)
        if self.dislike_weight > 0 and self.denoiser.endswith("attention"):
            raise ValueError(
                f"dislike_weight = {self.dislike_weight:g} makes the condition signed, and denoiser = {self.denoiser} "
                "attends to items that are there; take concat, embedding or transformer"
            )
        return self


class Model(diffrec.Model):
    """DiffRec whose denoiser sees the history beside x_t, and whose prediction is guided."""

    config_class = Config
    UNGUIDED = "diffrec"
    config: Config

    def _build(self) -> None:
        self.network = self._conditional(self.config.dims)
        smaller = tuple(max(1, round(self.config.weak_share * dim)) for dim in self.config.dims)
        self.weak = self._conditional(smaller) if self.config.guidance == "auto" else None

    def _conditional(self, dims: tuple[int, ...]) -> Denoiser:
        config = self.config
        own = {"embedding_dim": config.embedding_dim}
        network = denoisers.build(config.denoiser, self.n_items, dims, config.dropout, config.normalize, **own)
        assert isinstance(network, LinearEnds)
        return self._wrapped(LearnedNull(network) if config.null_condition == "learned" else network)

    def _matrices(self, history: History) -> tuple[csr_matrix, csr_matrix]:
        rows, _ = super()._matrices(history)
        w_min = self.config.condition_w_min
        if w_min is None:
            return rows, rows
        return rows, history.signed(
            history.weighted(w_min, 1, self.config.w_form, self.config.gamma), self.config.dislike_weight
        )

    def _condition(self, rows: Tensor) -> Tensor:
        if not self.training:
            return rows
        return drop_rows(drop_items(rows, self.config.condition_dropout), self.config.p_uncond)

    def _scale(self, t: int) -> float:
        return scale_at(t, self.config.T, self.config.guidance_scale, self.config.guidance_ramp)

    def footprint(self, dataset: Dataset) -> int:
        """DiffRec's, and where items are attended to ten vectors for each entry of a block of histories."""
        per_entry = 10 * self.config.embedding_dim if self.config.denoiser.endswith("attention") else 0
        return super().footprint(dataset) + 4 * per_entry * int(dataset.train.nnz)

    def forward(self, examples: Examples) -> Tensor:
        losses = self._loss(self.network, examples)
        return losses if self.weak is None else losses + self._loss(self.weak, examples)
