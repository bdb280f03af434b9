"""Which search this is, and the seeds that follow from it."""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from unblur.search.space import Parameter, SearchSpace


class StudyIdentity(BaseModel):
    """All that makes two searches the same search: what is trained on what, and judged how.

    The number of trials and the time budget are not part of it: they can be raised and the search goes on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    """Digest of the prepared train and validation data."""
    split: str
    protocol: str
    history: str
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
    batch_rule: str
    """How the global batch size relates to the number of workers."""
    seed: int

    @property
    def hash(self) -> str:
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]


def trial_seed(study_seed: int, number: int, purpose: str = "training") -> int:
    """A trial's own seed (32 bits): the same on every run, whatever runs beside it."""
    return int.from_bytes(sha256(f"{purpose}:{study_seed}:{number}".encode()).digest()[:4])
