"""The configuration of a trial as MLflow has it: what a search tried can be trained, whether or not it was chosen."""

import json

from rich.console import Console

from unblur.data.request import DataRequest, name_of
from unblur.errors import UserError
from unblur.tracking import names
from unblur.tracking.reader import Found, Reader, existing_store


def of_trial(number: int, model: str, data: DataRequest, tracking_uri: str | None, console: Console) -> list[str]:
    """The parameters (`lr=0.001`) of a trial of the newest search of the model on these data; tells which search.

    UserError when there is no such search, or it has no such trial.
    """
    reader = Reader(existing_store(tracking_uri))
    experiment = f"{name_of(data.dataset)}/{data.protocol}"
    place = reader.experiment(experiment)
    searches = reader.runs(place, {names.KIND: "study", names.MODEL: model, names.PURPOSE: "search"})
    if not searches:
        raise UserError(
            f"--from-trial {number}: there is no search of {model} in {experiment}; unblur tune makes one, or name the "
            "searched --model"
        )
    trials = reader.runs(place, {names.KIND: "trial", names.PARENT: searches[-1].id})
    found = {each.tags[names.NUMBER]: each for each in trials}
    if str(number) not in found:
        last = max(map(int, found), default=None)
        has = "none yet" if last is None else f"those up to {last}"
        raise UserError(
            f"--from-trial {number}: the newest search of {model} in {experiment} has {has}; name one of them"
        )
    console.print(f"the configuration is that of trial {number} of {searches[-1].name}", markup=False)
    return _assigned(found[str(number)])


def _assigned(trial: Found) -> list[str]:
    """What was trained, with the settings of inference that validation chose for it, as `--set` takes it."""
    chosen = json.loads(trial.tags.get(names.INFERENCE, "{}"))
    parameters = {**trial.params, **{name: json.dumps(value) for name, value in chosen.items()}}
    return [f"{name}={value}" for name, value in parameters.items()]
