"""Evaluation protocol: how data are divided and ranked, as one value and as the text that travels with every number."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from unblur.data.dataset import HistoryName
from unblur.data.presets import split_of, targets_of, ties_of
from unblur.data.request import SPLITS, DataRequest, Repeats, Seen, Targets, Ties
from unblur.evaluation.measuring import DEFINITION
from unblur.registry import default_of, functions, takes

VALIDATIONS = functions("validation", "unblur.data.validations")
GIVEN = "given"
REPEATS: dict[Repeats, str] = {
    "first": "of a repeated pair the first counts",
    "keep": "repeated pairs are kept, what a user has again being held out as anything else",
}
CANDIDATES: dict[Seen, str] = {
    "masked": "all items but the user's train (validation), all but train and valid (test)",
    "allowed": "all items, those that the user has already among them",
}
TIES: dict[Ties, str] = {"file": "in the file's order", "item": "by item id", "hash": "by a seeded hash"}


class EvaluationProtocol(BaseModel):
    """All that decides what is held out, what a model sees of a user, and what it ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    ratios: str | None
    """Shares of train, validation and test; None where the split has none."""
    targets: Targets
    """Which of a user's held-out interactions are to be found."""
    history: HistoryName
    """What a model sees of a user at the test."""
    validation: str = Field(GIVEN, exclude_if=lambda value: value == GIVEN)
    """What a search selects by; final runs train on the whole train part whatever it is."""
    seen: Seen = "masked"
    """Whether what is in train (at the test: in validation too) may be recommended."""
    ties: Ties
    """What decides which of a user's interactions at equal times is the earlier."""
    repeats: Repeats = "first"
    """Which interactions of a user with the same item count: the first, or all (keep)."""

    @classmethod
    def of(cls, request: DataRequest, history: HistoryName, validation: str = GIVEN) -> Self:
        """The protocol that a request for data implies, with what a model sees at the test and is selected by."""
        name = split_of(request)
        split = SPLITS.get(name)
        return cls(
            split=name,
            ratios=request.ratios or default_of(split, "ratios") if takes(split, "ratios") else None,
            targets=targets_of(request),
            history=history,
            validation=validation,
            seen=request.seen,
            ties=ties_of(request),
            repeats=request.repeats,
        )

    @property
    def definition(self) -> str:
        """What the numbers mean, in a sentence of parts."""
        selection = [] if self.validation == GIVEN else [f"selected by {_selection(self.validation)}"]
        parts = [
            f"split {self.split}{f' {self.ratios}' if self.ratios else ''}: {_summary(self.split)}",
            *self._one_target,
            f"equal times {TIES[self.ties]}; {REPEATS[self.repeats]}",
            f"full ranking; input history = train (validation), {self.history} (test)",
            *self._folded_in,
            f"candidates = {CANDIDATES[self.seen]}",
            *selection,
            DEFINITION,
        ]
        return "; ".join(parts)

    @property
    def _one_target(self) -> list[str]:
        """Which target is left of those that the split's own words speak of."""
        asked = self.targets != getattr(SPLITS.get(self.split), "targets", "all")
        return [f"of a user's validation and of a user's test interactions the {self.targets} alone"] if asked else []

    @property
    def _folded_in(self) -> list[str]:
        """What is input beside train."""
        folds = getattr(SPLITS.get(self.split), "folds_in", False) or self._one_target
        return ["what leads up to a held-out interaction is input too, and not trained on"] if folds else []


def _summary(split: str) -> str:
    """The split's own first line, as part of a sentence."""
    return _in_a_sentence(SPLITS.summary(split))


def _selection(validation: str) -> str:
    return f"validation {validation}: {_in_a_sentence(VALIDATIONS.summary(validation))}"


def _in_a_sentence(line: str) -> str:
    text = line.rstrip(".")
    return text[:1].lower() + text[1:]
