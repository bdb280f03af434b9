"""Evaluation protocol: how data are divided and ranked, as one value and as the text that travels with every number."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from unblur.data.dataset import HistoryName
from unblur.data.presets import split_of, ties_of
from unblur.data.request import SPLITS, DataRequest, Ties
from unblur.data.splits import DEFAULT
from unblur.evaluation.measuring import DEFINITION
from unblur.registry import functions, takes

VALIDATIONS = functions("validation", "unblur.data.validations")
GIVEN = "given"
TIES: dict[Ties, str] = {"file": "in the file's order", "item": "by item id", "hash": "by a seeded hash"}


class EvaluationProtocol(BaseModel):
    """All that decides what is held out, what a model sees of a user, and what it ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    ratios: str | None
    """Shares of train, validation and test; None where the split has none."""
    targets: Literal["all", "last"]
    """Which of a user's held-out interactions are to be found."""
    history: HistoryName
    """What a model sees of a user at the test."""
    validation: str = Field(GIVEN, exclude_if=lambda value: value == GIVEN)
    """What a search selects by; final runs train on the whole train part whatever it is."""
    seen: Literal["masked"] = "masked"
    """Whether what is in train (at the test: in validation too) may be recommended."""
    ties: Ties
    """What decides which of a user's interactions at equal times is the earlier."""
    repeats: Literal["first"] = "first"
    """Which interaction of a user with the same item counts."""

    @classmethod
    def of(cls, request: DataRequest, history: HistoryName, validation: str = GIVEN) -> Self:
        """The protocol that a request for data implies, with what a model sees at the test and is selected by."""
        name = split_of(request)
        split = SPLITS.get(name)
        return cls(
            split=name,
            ratios=request.ratios or DEFAULT if takes(split, "ratios") else None,
            targets=getattr(split, "targets", "all"),
            history=history,
            validation=validation,
            ties=ties_of(request),
        )

    @property
    def definition(self) -> str:
        """What the numbers mean, in a sentence of parts."""
        selection = [] if self.validation == GIVEN else [f"selected by {_selection(self.validation)}"]
        parts = [
            f"split {self.split}{f' {self.ratios}' if self.ratios else ''}: {_summary(self.split)}",
            f"equal times {TIES[self.ties]}; of a repeated pair the {self.repeats} counts",
            f"full ranking; input history = train (validation), {self.history} (test)",
            "candidates = all items but the user's train (validation), all but train and valid (test)",
            *selection,
            DEFINITION,
        ]
        return "; ".join(parts)


def _summary(split: str) -> str:
    """The split's own first line, as part of a sentence."""
    return _in_a_sentence(SPLITS.summary(split))


def _selection(validation: str) -> str:
    return f"validation {validation}: {_in_a_sentence(VALIDATIONS.summary(validation))}"


def _in_a_sentence(line: str) -> str:
    text = line.rstrip(".")
    return text[:1].lower() + text[1:]
