"""Ablations as files: a base configuration, what is varied in training, and what is swept on each trained network."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unblur.data.request import PROTOCOLS, SPLITS, DataRequest
from unblur.documents import Document, read
from unblur.errors import UserError, unknown
from unblur.models import RECOMMENDERS, config_class, configure, model_class
from unblur.registry import known

Part = Literal["valid", "test"]
Newest = int | Literal["all"]
NEWEST, SHARE = "newest", "protocol_share"
"""Axes that are the data's, so that nobody chooses on them."""


@dataclass(frozen=True)
class Point:
    """How a trained cell is scored."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of inference."""
    newest: Newest | None = None
    """How many of each user's newest interactions the model is shown; None where the study does not vary it."""

    @property
    def labels(self) -> dict[str, Any]:
        """Its value on every axis of the sweep."""
        settings = {name: _label(value) for name, value in self.settings.items()}
        return {**settings, **({} if self.newest is None else {NEWEST: self.newest})}

    @property
    def shown(self) -> int | None:
        """None for all."""
        return self.newest if isinstance(self.newest, int) else None

    @property
    def key(self) -> str:
        """By which its scores are kept, whether or not the study shows less at other points."""
        return json.dumps({**self.settings, **({} if self.shown is None else {NEWEST: self.shown})}, sort_keys=True)


@dataclass(frozen=True)
class Cell:
    """One training: its value (or name) on every axis of the grid, its parameters, and what is swept afterwards."""

    labels: Mapping[str, Any]
    model: str
    data: DataRequest
    params: Mapping[str, Any]
    points: tuple[Point, ...]

    def __str__(self) -> str:
        return ", ".join(f"{axis} {value}" for axis, value in self.labels.items()) or "the base"


@dataclass(frozen=True)
class Measured:
    """A trained cell at one point of its sweep, on validation or test."""

    labels: Mapping[str, Any]
    """The cell's and the point's."""
    seed: int
    part: Part
    metrics: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of the training: best epoch, seconds, parameters."""


class Ablation(BaseModel):
    """A study: `grid` times `seeds` trainings of `model`, each scored at every point of `inference` and `newest`.

    What has nothing random in it is trained once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The file's name without its ending."""
    question: str
    """What the study is to tell."""
    figure: str = ""
    """The paper's figure that it repeats."""
    dataset: str
    split: Annotated[str | None, known(SPLITS)] = None
    """Another division than the dataset's own."""
    protocol: Annotated[str, known(PROTOCOLS)] = Field("clean", exclude_if=lambda value: value == "clean")
    """What is done to train and valid; its share may be an axis of the grid."""
    model: str
    parameters: dict[str, Any] = {}
    grid: dict[str, list[Any] | dict[str, dict[str, Any]]] = {}
    """Axes: a parameter with its values, or a name of our own with named sets of parameters.

    `model` may be set there as a parameter is, and `protocol_share`.
    """
    inference: dict[str, list[Any]] = {}
    """Parameters that change scoring only, with their values; each of several models has its own of them."""
    newest: list[Annotated[int, Field(ge=0)] | Literal["all"]] = Field([], exclude_if=lambda value: not value)
    """Few-shot: how many of each user's newest interactions a trained model is shown. What is masked as seen stays the
    whole history, so that figures differ by what the model knew alone."""
    x: str
    """The axis along which results are drawn; the others make lines."""
    seeds: int = Field(3, ge=1)
    epochs: int = Field(100, ge=1)
    eval_every: int = Field(5, ge=1)
    patience: int = Field(20, ge=1)
    metric: str = "ndcg@10"
    """What decides on the validation set which epoch is kept."""

    @model_validator(mode="after")
    def _axes_fit(self) -> Self:
        if both := self.grid.keys() & self.inference.keys():
            raise ValueError(f"{', '.join(sorted(both))} is both in grid and in inference")
        if NEWEST in self.grid:
            raise ValueError(f"grid: {NEWEST} is an axis of its own, beside inference: {NEWEST}: [0, 1, 2, all]")
        if self.model not in RECOMMENDERS:
            raise ValueError(str(unknown("model", self.model, RECOMMENDERS.names())))
        known = frozenset().union(*(config_class(model).INFERENCE for model in self.models if model in RECOMMENDERS))
        if wrong := [name for name in self.inference if name not in known]:
            raise ValueError(
                f"inference: {', '.join(wrong)} changes the training; there are {', '.join(sorted(known))}"
            )
        if self.x not in self.axes:
            raise ValueError(f"x = {self.x} is no axis; there are {', '.join(self.axes)}")
        if empty := [name for name, values in {**self.grid, **self.inference}.items() if not values]:
            raise ValueError(f"{', '.join(empty)} has no values")
        return self

    @property
    def axes(self) -> list[str]:
        """All that varies: the grid's axes, then the sweep's."""
        return [*self.grid, *self.inference, *([NEWEST] if self.newest else [])]

    @property
    def models(self) -> set[str]:
        """Every model that a cell may have."""
        return {self.model, *(str(params["model"]) for _, params in _settings(self) if "model" in params)}

    def replaced(self, change: Callable[[Any], Any]) -> Self:
        """The study with its parameters and those of its grid changed."""
        return self.model_copy(update={"parameters": change(self.parameters), "grid": change(self.grid)})

    def trainings(self) -> list[tuple[Cell, int]]:
        """Every cell with every seed: a first of all cells, then a second, so that the picture comes early."""
        cells = self.cells()
        return [
            (cell, seed) for seed in range(self.seeds) for cell in cells if seed == 0 or model_class(cell.model).RANDOM
        ]

    def cells(self) -> list[Cell]:
        """Every training; UserError when the model refuses one, or all that is to be swept on it."""
        axes = [[(axis, *each) for each in _choices(axis, values)] for axis, values in self.grid.items()]
        return [self._cell(chosen) for chosen in product(*axes)]

    def _cell(self, chosen: tuple[tuple[str, Any, dict[str, Any]], ...]) -> Cell:
        labels = {axis: label for axis, label, _ in chosen}
        params = dict(self.parameters)
        for _, _, own in chosen:
            params |= own
        where = f"ablation {self.name}, {labels}"
        model, data = params.pop("model", self.model), self._data(params.pop(SHARE, None))
        configure(model, params, where)
        if self.newest and model_class(model).KNOWN_USERS_ONLY:
            raise UserError(
                f"{where}: {model} knows users by more than their histories, so that {NEWEST} hides nothing from it: "
                f"use another model, or leave {NEWEST} out"
            )
        return Cell(labels, model, data, params, self._points(model, params, where))

    def _points(self, model: str, params: dict[str, Any], where: str) -> tuple[Point, ...]:
        swept = {name: values for name, values in self.inference.items() if name in config_class(model).INFERENCE}
        sweep = [dict(zip(swept, values, strict=True)) for values in product(*swept.values())]
        settings = [each for each in sweep if _accepts(model, params | each)]
        if not settings:
            configure(model, params | sweep[0], where)  # says why
        shown: list[Newest | None] = [*self.newest] or [None]
        return tuple(Point(each, newest) for each in settings for newest in shown)

    def _data(self, share: float | None) -> DataRequest:
        return DataRequest(dataset=self.dataset, split=self.split, protocol=self.protocol, protocol_share=share)


def _accepts(model: str, params: dict[str, Any]) -> bool:
    """Some points have no meaning: without a trained unconditional pass there is only scale 1."""
    try:
        configure(model, params, "")
    except UserError:
        return False
    return True


def _choices(axis: str, values: list[Any] | dict[str, dict[str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
    """(label, parameters) of every value of an axis."""
    if isinstance(values, dict):
        return list(values.items())
    return [(_label(value), {axis: value}) for value in values]


def _label(value: Any) -> Any:
    """The value as a table can hold it: a list as text."""
    return value if isinstance(value, int | float | str) else json.dumps(value)


def load_ablation(file: Path) -> Ablation:
    """The study in `file`; UserError, with its line, for a field or parameter that is wrong."""
    document = read(file)
    study = document.parse(Ablation, name=file.stem)
    _check_names(document, study)
    try:
        study.cells()
    except UserError as error:
        raise document.error(["grid" if study.grid else "parameters"], str(error)) from None
    return study


def _check_names(document: Document, study: Ablation) -> None:
    settings = list(_settings(study))
    for place, params in settings:
        if params.get("model", study.model) not in RECOMMENDERS:
            raise document.error([*place, "model"], str(unknown("model", params["model"], RECOMMENDERS.names())))
    known = {"model", SHARE}.union(*(config_class(model).model_fields for model in study.models))
    for place, params in settings:
        for name in params.keys() - known:
            raise document.error([*place, name], str(unknown("parameter", name, known)))


def _settings(study: Ablation) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """The parameters that a study sets, and the place in the document of each group."""
    yield ["parameters"], study.parameters
    for axis, values in study.grid.items():
        if isinstance(values, dict):
            yield from ((["grid", axis, label], params) for label, params in values.items())
        else:
            yield from ((["grid"], {axis: value}) for value in values)
