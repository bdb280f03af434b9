"""Top-K recommendations for users of a dataset, from a registered or saved model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from unblur import models
from unblur.data.dataset import Dataset, HistoryName
from unblur.data.titles import titles_of
from unblur.errors import UserError
from unblur.evaluation.ranking import Scorer, rank_with_scores
from unblur.experiments.context import SILENT, absolute
from unblur.experiments.evaluate import find_model
from unblur.experiments.options import RecommendOptions
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.files import replacing
from unblur.models import trained_on
from unblur.models.dial import turn
from unblur.training.workers import on_best_device

FORMS = (".csv", ".parquet")


def recommend(
    options: RecommendOptions,
    console: Console = SILENT,
    users: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Recommend as the options say, and write the output if it is named; the frame of `recommendations`, with the
    titles of items after them where the data have any.

    users, exclude: raw ids, where they are at hand as lists.
    """
    check_output(options.output)
    data = prepare_data(options.data, absolute(options.storage), options.data_dir, console)
    name, folder = find_model(options.model, data, options.tracking_uri)
    if users is None and options.users is not None:
        users = options.users.split(",")
    dataset = _seen_by(name, folder, data)
    model = on_best_device(trained_on.load(folder, dataset))
    if options.guidance_scale is not None:
        turn(model, options.guidance_scale, "--guidance-scale")
    without = options.exclude.split(",") if exclude is None and options.exclude else exclude or ()
    titles = titles_of(options.data, options.data_dir)
    found = recommendations(model, dataset, users, options.k, options.history, without)
    if titles:
        found.insert(2, "title", found["item"].map(titles))
    count = found["user"].nunique()
    console.print(f"{name} ({models.name_in(folder)}): {len(found):,} items for {count:,} users", markup=False)
    if options.output:
        write(found, options.output)
    return found


def _seen_by(name: str, folder: Path, data: PreparedData) -> Dataset:
    """What the users are known by, and are not recommended: all of it where the model was trained on all of it."""
    if trained_on.digest_in(folder) != data.dataset.digest_of_all:
        return data.dataset
    return data.open_test(f"recommendations by {name}, which was trained on it").everything()


def recommendations(
    model: Scorer,
    dataset: Dataset,
    users: Sequence[str] | None,
    k: int,
    history: HistoryName = "train+valid",
    exclude: Sequence[str] = (),
) -> pd.DataFrame:
    """The k best items of `users` (raw ids; None: all), best first: user, item, rank (from 1), score.

    history: what the model sees of a user; nothing that the user has in train or valid is recommended, but where the
    data allow it (`--seen allowed`). exclude: items
    (raw ids) that nobody gets. Users are scored in blocks that fit the memory. UserError names ids that are not in the
    data.
    """
    rows = np.arange(dataset.n_users) if users is None else _places(users, dataset.users, "--users", "users")
    seen = dataset.known(with_valid=history == "train+valid")
    never = _places(exclude, dataset.items, "--exclude", "items")
    items, scores = rank_with_scores(model, seen, dataset.masked_at_test, rows, k, never.tolist())
    row, place = np.nonzero(items >= 0)
    columns = {
        "user": dataset.users[rows[row]],
        "item": dataset.items[items[row, place]],
        "rank": place + 1,
        "score": scores[row, place],
    }
    return pd.DataFrame(columns)


def write(found: pd.DataFrame, output: Path) -> None:
    """Write the recommendations at once, in the form that the file's name ends in; UserError when that fails."""
    try:
        with replacing(output) as partial:
            (found.to_csv if output.suffix == ".csv" else found.to_parquet)(partial, index=False)
    except OSError as error:
        raise UserError(f"--output {output} cannot be written: {error.strerror}") from None


def check_output(output: Path | None) -> None:
    """UserError for an output in a form that is not written here."""
    if output and output.suffix not in FORMS:
        raise UserError(f"--output {output}: expected a name that ends in {' or '.join(FORMS)}")


def _places(asked: Sequence[str], names: NDArray[np.str_], flag: str, kind: str) -> NDArray[np.int64]:
    """Where the ids that are asked for lie among `names`; UserError names those that are not there."""
    known = {name: place for place, name in enumerate(names.tolist())}
    if unknown := [name for name in asked if name not in known]:
        raise UserError(
            f"{flag}: {', '.join(map(repr, unknown[:10]))}: not among the {len(known):,} {kind} of the prepared data, "
            "which leave out those with too few interactions"
        )
    return np.array([known[name] for name in asked], dtype=np.int64)
