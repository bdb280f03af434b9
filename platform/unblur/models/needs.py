"""What models and parameters need of the data: an order in time, or ratings too low for a hit.

A Config field says so by its metadata, `Annotated[float, Needs(ORDER, neutral=1.0)]`; searches, trainings and ablations
follow from that. What a whole part or model needs is its Config's `NEEDS`.
"""

import sys

from unblur.data.dataset import WITH_ORDER, Dataset
from unblur.errors import UserError
from unblur.models.base import ModelConfig
from unblur.parts import ORDER, RATINGS, Needs

REASONS = {ORDER: "the data have no order in time", RATINGS: "the data know no ratings too low for a hit"}

REFUSALS = {
    ORDER: f"an order in time, and these data have none: {WITH_ORDER}",
    RATINGS: (
        "ratings too low for a hit, and these data have none: either they hold no ratings or no order in time, or "
        "every interaction counts as a hit (--min-rating 4 changes that)"
    ),
}


def unmet(config_class: type[ModelConfig], dataset: Dataset) -> dict[str, Needs]:
    """The fields of a Config whose needs the dataset does not meet."""
    lacking = _lacking(dataset)
    needs = {
        name: need
        for name, field in config_class.model_fields.items()
        for need in field.metadata
        if isinstance(need, Needs)
    }
    return {name: need for name, need in needs.items() if lacking[need.what]}


def unserved_choices(config_class: type[ModelConfig], dataset: Dataset) -> dict[tuple[str, str], str]:
    """The parts, as (field, choice), that the dataset cannot serve, and what it lacks for them."""
    lacking = _lacking(dataset)
    return {
        choice: what for choice, needs in config_class.needs_of_choices().items() for what in needs if lacking[what]
    }


def refuse_unserved(config_class: type[ModelConfig], dataset: Dataset) -> None:
    """UserError for a model that the dataset cannot serve with whatever parameters."""
    name = config_class.__module__.rpartition(".")[2]
    for what in sorted(config_class.NEEDS):
        if _lacking(dataset)[what]:
            raise UserError(f"{name} needs {REFUSALS[what]}")
    model = getattr(sys.modules[config_class.__module__], "Model", None)
    if dataset.asks_of_others and getattr(model, "KNOWN_USERS_ONLY", False):
        raise UserError(
            f"{name} can only score users that it was trained on, and this split asks of others; take another model"
        )


def refuse_unmet(config: ModelConfig, dataset: Dataset) -> None:
    """UserError that names the model, or the fields whose values the dataset cannot serve."""
    refuse_unserved(type(config), dataset)
    values = config.model_dump()  # of the parts that are chosen
    parts = unserved_choices(type(config), dataset)
    fields = unmet(type(config), dataset)
    for what, refusal in REFUSALS.items():
        asked = [name for (name, choice), need in parts.items() if need == what and values[name] == choice]
        asked += [n for n, need in fields.items() if need.what == what and values.get(n) not in (None, need.neutral)]
        asked = [f"{name} = {values[name]}" for name in asked]
        if asked:
            raise UserError(f"{' and '.join(asked)} needs {refusal}")


def _lacking(dataset: Dataset) -> dict[str, bool]:
    return {ORDER: dataset.train_rank is None, RATINGS: dataset.disliked is None}
