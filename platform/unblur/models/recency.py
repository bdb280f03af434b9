"""Recency weights: what a user did last says more of what comes next (T-DiffRec, eq. 16, and a geometric form)."""

from abc import abstractmethod
from typing import Annotated, Self

from pydantic import Field, model_validator
from scipy.sparse import csr_matrix

from unblur.data.dataset import History, WeightForm
from unblur.models.base import ModelConfig
from unblur.parts import ORDER, Needs


class HistoryConfig(ModelConfig):
    """Base of the Configs of models that are given weighted histories."""

    @abstractmethod
    def weigh(self, history: History) -> csr_matrix:
        """The interactions (B, n_items) with their weights; UserError where these need an order that the data lack."""


class GeometricConfig(HistoryConfig):
    """Geometric weights alone, for models of the order in time."""

    gamma: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(0.8, gt=0, le=1)
    """An interaction weighs gamma^k, where k interactions of the same user came later."""

    def weigh(self, history: History) -> csr_matrix:
        return history.weighted(1.0, 1.0, "geometric", self.gamma)


class RecencyConfig(HistoryConfig):
    """Weights, in one of three forms, of what a model learns from and of what it is given."""

    w_form: Annotated[WeightForm, Needs(ORDER, neutral="linear")] = "linear"
    """From w_min to w_max by a constant step (linear) or factor (exponential), or by gamma alone (geometric)."""
    w_min: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, ge=0, le=1)
    """Weight of a user's oldest interaction."""
    w_max: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, gt=0, le=1)
    """Weight of a user's most recent interaction."""
    gamma: Annotated[float, Needs(ORDER, neutral=1.0)] = Field(1.0, gt=0, le=1)
    """With w_form = geometric, an interaction weighs gamma^k, where k interactions of the same user came later."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.w_form == "exponential" and self.w_min == 0:
            raise ValueError("w_min = 0 cannot grow by a constant factor; give w_form = linear, or more than 0")
        if self.w_form != "geometric" and self.gamma != 1:
            raise ValueError(f"gamma = {self.gamma:g} weighs nothing with w_form = {self.w_form}; give geometric")
        return self

    def weigh(self, history: History) -> csr_matrix:
        return history.weighted(self.w_min, self.w_max, self.w_form, self.gamma)
