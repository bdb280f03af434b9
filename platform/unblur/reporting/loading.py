"""From MLflow to the studies that a report may compare: the newest of each model, on the same data."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from unblur.data import openings
from unblur.data.download import directory
from unblur.data.prepared_folder import folder_of
from unblur.errors import UserError
from unblur.evaluation.protocol import GIVEN
from unblur.experiments.examples import FILE as EXAMPLES
from unblur.formatting import shown, with_spread
from unblur.reporting.asked import Asked
from unblur.reporting.runs import Evidence, FinalRun, StudyRuns, Trial
from unblur.tracking import names
from unblur.tracking.reader import Found, Reader
from unblur.training.record import State


def load(reader: Reader, dataset: str, protocol: str) -> Evidence:
    """Each model's newest finished study, of those that can be compared (`StudyRuns`). UserError without any.

    dataset: a preset, a file, or the name that a file's studies have (`Asked`).
    """
    asked = Asked(dataset)
    dataset = asked.name
    experiment = reader.experiment(f"{dataset}/{protocol}")
    parents, notes = asked.only(reader.runs(experiment, {names.KIND: "study"}), f"{dataset}/{protocol}")
    finished = [study for run in parents if (study := _study(run)) is not None]
    if not finished:
        raise UserError(_nothing(f"{dataset}/{protocol}", parents, reader.store.address))
    chosen, left_out = _comparable(_newest(finished))
    notes += left_out
    notes += _older(finished, chosen)
    notes += _unfinished(parents, {study.model for study in finished})
    studies = [_with_runs(reader, experiment, study) for study in chosen]
    if lost := [study.model for study in studies if not study.finals]:
        notes.append(
            f"Left out: {', '.join(lost)}, whose final runs MLflow has lost; the same command brings them back."
        )
    studies = [_with_files(reader, study, notes) for study in studies if study.finals]
    if not studies:
        raise UserError(f"{dataset}/{protocol}: {notes[-1]}")
    return Evidence(dataset, protocol, reader.store.address, studies, notes)


def find_study(reader: Reader, experiment: str, model: str, run_id: str | None = None) -> StudyRuns:
    """The newest finished study of a model, or that of a run, with its trials; UserError when there is none.

    experiment: dataset/protocol.
    """
    place = reader.experiment(experiment)
    finished = [study for run in reader.runs(place, {names.KIND: "study"}) if (study := _study(run)) is not None]
    wanted = [study for study in finished if study.run.id == run_id] if run_id else _newest(finished)
    found = [study for study in wanted if study.model == model]
    if not found:
        known = ", ".join(sorted({study.model for study in finished})) or "none"
        raise UserError(f"no study of {model} on {experiment} is finished in MLflow; there are: {known}")
    return _with_sweep(reader, _with_runs(reader, place, found[-1]))


def with_openings(evidence: Evidence, storage: str) -> Evidence:
    """The evidence with the log of the test set's openings in `storage`; without one, as the studies knew it."""
    local = directory(None) if "://" in storage else Path(storage)
    logged = openings.reasons(folder_of(local, evidence.digest))
    known: list[dict[str, int]] = [json.loads(s.run.tags.get(names.TEST_OPENINGS, "{}")) for s in evidence.studies]
    return replace(evidence, openings=max([logged, *known], key=lambda each: sum(each.values())))


def _study(run: Found) -> StudyRuns | None:
    """The study of a parent run, if it has been tested."""
    metric = run.params.get("metric", "ndcg_at_10")
    if run.status != "FINISHED" or names.test(metric) not in run.metrics:
        return None
    return StudyRuns(run.tags.get(names.MODEL, run.name), run, metric)


def _newest(finished: Sequence[StudyRuns]) -> list[StudyRuns]:
    """The newest per model, of those that can be compared; oldest first. A search counts before a training without."""
    newest: dict[tuple[str, tuple[str, str, str]], StudyRuns] = {}
    for study in sorted(finished, key=lambda study: (not _is_training(study), study.run.started)):
        newest[study.model, study.comparable] = study
    return sorted(newest.values(), key=lambda study: study.run.started)


def _older(finished: Sequence[StudyRuns], chosen: Sequence[StudyRuns]) -> list[str]:
    """Other studies of a model on the same data, which were tested too: who tries often is lucky at last."""
    notes = []
    for study in chosen:
        same = (study.model, study.history, study.digest)  # whatever each selected by: the test was opened for it
        others = [each for each in finished if (each.model, each.history, each.digest) == same and each is not study]
        if others:
            told = "; ".join(map(_briefly, sorted(others, key=lambda each: each.run.started)))
            notes.append(f"{study.model} was tested on these data in other studies too: {told}.")
    return notes


def _briefly(study: StudyRuns) -> str:
    day = datetime.fromtimestamp(study.run.started, UTC).date().isoformat()
    kind = "a given configuration" if _is_training(study) else "a search"
    return f"{kind} of {day}, {shown(study.metric)} {with_spread(study.test(study.metric), study.spread(study.metric))}"


def _is_training(study: StudyRuns) -> bool:
    return study.run.tags.get(names.PURPOSE) == "training"


def _comparable(studies: Sequence[StudyRuns]) -> tuple[list[StudyRuns], list[str]]:
    """Only what had the same data, history and selection is compared: the most models, among equals the newest."""
    counts = Counter(study.comparable for study in studies)
    last = {study.comparable: study.run.started for study in studies}
    common = max(counts, key=lambda key: (counts[key], last[key]))
    chosen = [study for study in studies if study.comparable == common]
    notes = [
        f"Left out: {study.model} with {_conditions(study)}, because the others have {_conditions(chosen[0])}."
        for study in studies
        if study not in chosen
    ]
    return chosen, notes


def _conditions(study: StudyRuns) -> str:
    selected = "" if study.validation == GIVEN else f", selected by validation {study.validation}"
    return f"history {study.history} on data {study.digest[:8] or 'unknown'}{selected}"


def _unfinished(parents: Iterable[Found], finished: set[str]) -> list[str]:
    models = {run.tags.get(names.MODEL, run.name): _state(run) for run in parents if run.status != "FINISHED"}
    return [
        f"Not finished: {model}, whose study is {state}."
        for model, state in sorted(models.items())
        if model not in finished
    ]


def _state(run: Found) -> State:
    return names.state(run.status, run.tags)


def _nothing(name: str, parents: Sequence[Found], address: str) -> str:
    states = ", ".join(sorted({f"{run.tags.get(names.MODEL, run.name)} ({_state(run)})" for run in parents}))
    there = f"has only unfinished ones: {states}" if states else "is empty"
    return f"no study of {name} is finished: the experiment in MLflow at {address} {there}. Let unblur tune end first."


def _with_runs(reader: Reader, experiment: str, study: StudyRuns) -> StudyRuns:
    """The study with its trials and the final runs that its test values belong to."""
    children = reader.runs(experiment, {"mlflow.parentRunId": study.run.id})
    by_kind: dict[str, list[Found]] = {"trial": [], "final": []}
    for run in children:
        by_kind.setdefault(run.tags.get(names.KIND, ""), []).append(run)
    decided = names.valid(study.metric)
    histories = reader.histories([run.id for run in by_kind["trial"]], decided)
    trials = [_trial(run, histories.get(run.id, {}), study.metric) for run in by_kind["trial"]]
    finals = [
        FinalRun(
            _number(run),
            int(run.tags.get(names.CONFIGURATION, 0)),
            _trained(run),
            dict(run.metrics),
            _params(run),
            _inference(run),
        )
        for run in sorted(by_kind["final"], key=_number)
    ]
    return replace(study, trials=sorted(trials, key=lambda trial: trial.number), finals=_tested(study, finals))


def _trained(run: Found) -> float | None:
    """Seconds of training, in which a stop is none; of the run on the calendar where no training told its own."""
    return run.metrics.get(names.FACTS["seconds"], run.seconds)


def _number(run: Found) -> int:
    return int(run.tags[names.NUMBER])


def _trial(run: Found, history: dict[int, float], metric: str) -> Trial:
    state = _state(run)
    # a training keeps its best epoch's weights, while MLflow shows the last epoch's value
    best = max(history.values(), default=None)
    if state == State.COMPLETE:  # its epochs may have been judged by some of the users, and it by all
        best = run.metrics.get(names.best(metric), best)
    ended = None if run.seconds is None else run.started + run.seconds
    return Trial(
        number=_number(run),
        state=state,
        params=_params(run),
        value=best,
        seconds=_trained(run),
        inference=_inference(run),
        curve=dict(history),
        started=run.started,
        ended=ended,
        metrics=dict(run.metrics),
    )


def _params(run: Found) -> dict[str, Any]:
    return {name: _value(text) for name, text in run.params.items()}


def _inference(run: Found) -> dict[str, Any]:
    chosen: dict[str, Any] = json.loads(run.tags.get(names.INFERENCE, "{}"))
    return chosen


def _value(text: str) -> Any:
    """A parameter as it was: JSON, or a plain string."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tested(study: StudyRuns, finals: Sequence[FinalRun]) -> list[FinalRun]:
    """The final runs whose mean the study has; one that went on has those of an earlier best trial too."""
    groups: dict[int, list[FinalRun]] = {}
    for run in finals:
        groups.setdefault(run.configuration, []).append(run)
    metric, wanted = names.test(study.metric), study.test(study.metric)
    for group in groups.values():
        for size in range(len(group), 0, -1):
            values = [each.metrics.get(metric, math.nan) for each in group[:size]]
            if math.isclose(mean(values), wanted, rel_tol=1e-12):
                return group[:size]
    return []


def _with_sweep(reader: Reader, study: StudyRuns) -> StudyRuns:
    """The study with what its final runs had at every setting of inference, if they tried more than one."""
    with TemporaryDirectory(prefix="unblur-") as scratch:
        file = reader.artifact(study.run.id, "sweep.csv", Path(scratch))
        return replace(study, sweep=pd.read_csv(file)) if file else study


def _with_examples(reader: Reader, study: StudyRuns) -> StudyRuns:
    """The study with what a few users had and would get, if its tests told it."""
    with TemporaryDirectory(prefix="unblur-") as scratch:
        file = reader.artifact(study.run.id, EXAMPLES, Path(scratch))
        return replace(study, examples=json.loads(file.read_text())) if file else study


def _with_files(reader: Reader, study: StudyRuns, notes: list[str]) -> StudyRuns:
    """The study with its sweep, examples and per-user results; a note when they are missing or cannot be read."""
    try:
        study = _with_examples(reader, _with_sweep(reader, study))
        with TemporaryDirectory(prefix="unblur-") as scratch:
            folder = reader.artifact(study.run.id, "per_user", Path(scratch))
            frames = [pd.read_parquet(path) for path in _files(folder, study)] if folder else []
    except (UserError, OSError, ValueError) as error:
        notes.append(f"The files of {study.model} in MLflow cannot be read: {error}")
        return study
    if not frames:
        notes.append(f"{study.model} has no per-user results, so its differences cannot be tested.")
        return study
    return replace(study, per_user=pd.concat(frames).groupby("user", sort=True).mean(numeric_only=True))


def _files(folder: Path, study: StudyRuns) -> list[Path]:
    wanted = [folder / f"{each.number:05d}" / "per_user.parquet" for each in study.finals]
    return [path for path in wanted if path.exists()] or sorted(folder.rglob("*.parquet"))
