"""The identity of a study: all that makes two searches the same search."""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from unblur.evaluation.protocol import EvaluationProtocol
from unblur.search.space import Parameter, SearchSpace

RULES = 1
"""Raise it when the same fields come to mean another search. Now `batch_size` is the global batch: workers share it."""


class StudyIdentity(BaseModel):
    """All that makes two searches the same search: what is trained on what, and judged how.

    The number of trials and the time budget are not part of it: they can be raised and the search goes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    """Digest of the prepared train and validation data."""
    protocol: str
    """Clean or noisy training data."""
    evaluation: EvaluationProtocol
    model: str
    space: SearchSpace
    """What the search draws from."""
    swept: dict[str, Parameter] = {}
    """What each evaluation takes the best of: parameters of inference that are not drawn."""
    metric: str
    epochs: int
    eval_every: int
    patience: int
    validation_users: int | None = Field(None, exclude_if=lambda value: value is None)
    """By how many users trials are pruned and stopped, if not by all."""
    artefacts: dict[str, str] = Field({}, exclude_if=lambda value: not value)
    """Content addresses of what is learned from the data beforehand, by name."""
    seed: int
    rules: int = RULES
    """Version of what the fields above mean."""

    @property
    def hash(self) -> str:
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]
