"""Data that a saved model was trained on: written beside it, and checked before it meets data again."""

from pathlib import Path
from typing import Any

from unblur import models
from unblur.data.dataset import Dataset
from unblur.errors import UserError
from unblur.files import read_json, write_json
from unblur.models.base import Recommender

MARK = "trained_on.json"


def save(model: Recommender[Any], folder: Path, dataset: Dataset) -> None:
    """Save `model` to `folder` with the digest of the data that it was trained on."""
    write_json(folder / MARK, {"digest": dataset.digest, "users": dataset.n_users, "items": dataset.n_items})
    model.save(folder)  # last: a folder with a config.json is complete


def load(folder: Path, dataset: Dataset) -> Recommender[Any]:
    """The model that `save` wrote to `folder`; UserError as in `check`, or when it is missing or damaged."""
    check(folder, dataset)
    return models.load(folder)


def digest_in(folder: Path) -> str | None:
    """The digest of the data that the model in `folder` was trained on; None where that is not said."""
    try:
        return str((read_json(str(folder / MARK)) or {})["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(folder: Path, dataset: Dataset) -> None:
    """Raise UserError, with both digests, unless the model in `folder` was trained on `dataset`.

    Its weights belong to rows and columns of those data: of others it would recommend other items.
    """
    name, found = models.name_in(folder), digest_in(folder)
    if found is None:
        raise UserError(
            f"{folder}: {MARK} does not say on which data this {name} was trained, and these have the digest "
            f"{dataset.digest[:12]}; train it again"
        )
    if found == dataset.digest_of_all:
        raise UserError(
            f"{folder}: this {name} was trained on all of these data, validation and test included, so that nothing is "
            "left to test it on; name the model that it was refitted from, such as models:/NAME@champion"
        )
    if found != dataset.digest:
        raise UserError(
            f"{folder}: this {name} was trained on the data with digest {found[:12]}, and these have "
            f"{dataset.digest[:12]}: give the --dataset and the flags of its training"
        )
