"""The identity of a study: all that makes two searches the same search."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python

from unblur.errors import shorten
from unblur.evaluation.protocol import EvaluationProtocol
from unblur.provenance import TRAINING
from unblur.search.space import Choice, Parameter, SearchSpace

TOLD = 3
"""Differences between two studies that are named."""


class StudyIdentity(BaseModel):
    """All that makes two searches the same search: what is trained on what, and judged how.

    The number of trials and the time budget are not part of it: they can be raised and the search goes on. The defaults
    of the model's Config are, as they decide what a trial is: who changes one, or adds a field to a part that the space
    can choose, begins other studies. Whether a new field leaves trainings as they were no program can tell, so nothing
    is mixed; the old studies stay, and a new one says what sets it apart (`apart`).
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
    defaults: dict[str, Any] = {}
    """Of the Config's fields that a configuration of the space may leave to it (`left_to_defaults`)."""
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
    training: int = TRAINING
    """Version of what a training computes, and of what the fields above mean."""

    @property
    def hash(self) -> str:
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]


def left_to_defaults(space: SearchSpace, config: type[BaseModel]) -> dict[str, Any]:
    """The defaults, as JSON, of the Config's fields that a configuration of the space may take.

    Left out are fields that it fixes or always draws, and those of parts that it cannot choose: a new denoiser makes no
    new study of those that do not know it.
    """
    given = {*space.fixed, *(name for name, parameter in space.parameters.items() if not parameter.when)}
    owners: Mapping[str, Mapping[str, frozenset[str]]] = getattr(config, "OWNERS", {})

    def values(name: str) -> set[Any]:
        drawn = space.parameters.get(name)
        choices = set(drawn.values) if isinstance(drawn, Choice) else set()
        return choices if name in given - space.fixed.keys() else {*choices, space.fixed.get(name, default(name))}

    def default(name: str) -> Any:
        return config.model_fields[name].get_default(call_default_factory=True)

    def chosen(name: str) -> bool:
        return name not in owners or any(values(field) & choices for field, choices in owners[name].items())

    optional = [name for name, field in config.model_fields.items() if not field.is_required()]
    left = {name: default(name) for name in optional if name not in given and chosen(name)}
    return dict(to_jsonable_python(left))


def apart(identity: StudyIdentity, studies: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What sets a new study apart from the nearest one of the same model and data, in words; None if there is none.

    studies: the identities of others, as JSON, by their names.
    """
    mine = dict(_leaves(identity.model_dump(mode="json")))
    same = {n: each for n, each in studies.items() if all(each.get(k) == mine[k] for k in ("model", "dataset"))}
    differences = {name: _differences(dict(_leaves(each)), mine) for name, each in same.items()}
    if not differences:
        return None
    nearest = min(differences, key=lambda name: len(differences[name]))
    found = differences[nearest]
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return f"a study of its own beside {nearest}, which has {', '.join(found[:TOLD])}{more}"


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**mine, **theirs} if theirs.get(name) != mine.get(name)]
    return [f"{name} = {_shown(theirs, name)} (now {_shown(mine, name)})" for name in names]


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    return shorten(str(leaves[name]), 40) if name in leaves else "nothing"


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _leaves(each, f"{path}{name}.")
        else:
            yield f"{path}{name}", each
