"""The parent run of a study in MLflow: what it says from its start on, and what it says of the result."""

from collections.abc import Mapping
from typing import Any

import yaml

from unblur import provenance
from unblur.experiments.context import command
from unblur.experiments.kept_reports import Reports
from unblur.experiments.prepared import PreparedData
from unblur.experiments.recording import ParentRun
from unblur.experiments.results import StudyResult
from unblur.experiments.study_opening import tracked
from unblur.search.identity import StudyIdentity
from unblur.search.space import SearchSpace
from unblur.tracking import names
from unblur.tracking.runs import text
from unblur.tracking.tracker import Tracker
from unblur.tracking.views import View, of_experiment, of_trials

ELSEWHERE = {"dataset", "evaluation", "space", "swept", "defaults", "artefacts"}
"""Fields of the identity that are no parameters of the parent run: its tags, dataset and `identity.json` have them."""


def parent_run(
    identity: StudyIdentity, study: str, data: PreparedData, purpose: str, first: Reports | None
) -> ParentRun:
    """The parent run of a study; first: what is kept of its first run, if that has begun."""
    # for the report, which tells whose winner was a starting configuration
    starts = {names.STARTS: str(len(identity.space.enqueue))} if purpose == "search" else {}
    return ParentRun(
        study=tracked(study, data),
        name=f"{data.name} {identity.model}",
        model=identity.model,
        tags={names.PURPOSE: purpose, names.VALIDATION: data.validation, **starts},
        params={**identity.model_dump(mode="json", exclude=ELSEWHERE), **identity.evaluation.model_dump(mode="json")},
        begun=first.begun if first else None,
        views=views(identity),
    )


def views(identity: StudyIdentity) -> list[View]:
    """The views of MLflow's pages that the study is seen in: models, trials if there are any, learning curves."""
    models, curves = of_experiment(identity.metric)
    searched = {name: not parameter.when for name, parameter in identity.space.parameters.items()}
    if not searched:
        return [models, curves]
    numbers = [name for name, each in identity.swept.items() if all(isinstance(v, int | float) for v in each.corners)]
    return [models, of_trials(identity.metric, identity.model, searched, numbers), curves]


def tell(tracker: Tracker, identity: StudyIdentity, result: StudyResult, best: str) -> None:
    """Put the result on the parent run; best: the best configuration as YAML."""
    metric, found = identity.metric, result.best
    mean, least = result.test[result.metric].mean, result.popularity[result.metric]
    trial = {} if found.number is None else {names.CONFIGURATION: found.number}
    best_params = {names.PARAMS: {**found.params, **result.inference}, names.EPOCHS: result.final.epochs}
    tracker.note_study(
        {names.NOTE: description(result), **best_params, **trial},
        {names.best(metric): found.value, names.over_popularity(metric): mean - least},
        {
            "best.yaml": best,
            "search_space.yaml": space_file(identity),
            "identity.json": identity.model_dump_json(indent=1),
            **({"sweep.csv": result.final.sweep} if result.final.sweep else {}),
        },
    )


def description(result: StudyResult) -> str:
    """The result in Markdown: verdict, best configuration, what became of the model, and how to come to it again."""
    trials = ", ".join(f"{count} {state}" for state, count in result.trials.items() if count)
    number = result.best.number
    origin = f"trial {number} of {sum(result.trials.values())} ({trials})" if number is not None else "as given"
    model = f"{result.final.model_uri}: {result.final.champion}" if result.final.model_uri else result.final.champion
    commit = provenance.commit()
    blocks = [
        f"**{result.headline}**, {result.verdict}",
        _table({"best configuration": origin}, {**result.best.params, **result.inference}),
        f"{result.metric} on validation: {result.best.value:.4f}",
        model,
        f"```\n{command()}\n```",
        f"unblur {provenance.version()}{f', commit {commit}' if commit else ''}; {provenance.libraries()}",
        provenance.machine(),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _table(title: Mapping[str, str], values: Mapping[str, Any]) -> str:
    head = [f"| {left} | {right} |\n|---|---|" for left, right in title.items()]
    bar = {ord("|"): "\\|"}  # it would end the cell
    rows = [f"| {name} | `{text(value).translate(bar)}` |" for name, value in values.items()]
    return "\n".join([*head, *rows])


def space_file(identity: StudyIdentity) -> str:
    """The search space as a file that `--search-space` takes, what is swept included."""
    space: SearchSpace = identity.space.model_copy(
        update={"parameters": {**identity.space.parameters, **identity.swept}}
    )
    parameters = {name: each.model_dump(mode="json", exclude_defaults=True) for name, each in space.parameters.items()}
    for name, each in space.parameters.items():
        parameters[name] = {"type": each.type, **parameters[name]}
    whole = {"model": space.model, "parameters": parameters, "fixed": space.fixed, "enqueue": space.enqueue}
    return yaml.safe_dump({k: v for k, v in whole.items() if v or k == "parameters"}, sort_keys=False)
