"""How to come to the same numbers: definitions, data, commands."""

import json
import shlex
from collections.abc import Sequence

from unblur.evaluation.measuring import spelled
from unblur.evaluation.protocol import GIVEN, VALIDATIONS
from unblur.reporting.runs import Evidence, StudyRuns
from unblur.reporting.tables import Table
from unblur.tracking import names

FLAGS = {"epochs": "epochs", "eval_every": "eval-every", "patience": "patience", "seed": "seed"}


def definitions(evidence: Evidence) -> Table:
    """What every number means, and on what it was measured."""
    first = evidence.studies[0]
    facts = {name: f"{value:,}" for name, value in first.run.facts.items() if type(value) is int}
    rows = [
        ["metrics", first.run.tags.get(names.METRICS, "unknown")],
        ["history", f"{first.history}: what a model sees of a user at the test"],
        [
            "selection",
            f"the best {first.metric} on validation{_cut(first)}; the test set is opened once, for the final models",
        ],
        ["data", ", ".join(f"{name} {value}" for name, value in facts.items()) or "unknown"],
        *_untrained(first),
        ["digest of the data", first.digest or "unknown"],
        ["version", _each(evidence, names.VERSION)],
        ["commit", _each(evidence, names.COMMIT)],
        ["libraries", _each(evidence, names.LIBRARIES)],
        ["machine of the driver", _each(evidence, names.MACHINE)],
        ["record", f"MLflow at {evidence.address}, experiment {evidence.dataset}/{evidence.protocol}"],
    ]
    return Table("What the numbers mean", ["what", "definition"], rows)


def _each(evidence: Evidence, tag: str) -> str:
    """What the studies' runs have of a tag, each once."""
    found = dict.fromkeys(value for study in evidence.studies if (value := study.run.tags.get(tag)))
    return "; ".join(found) or "unknown"


def commands(evidence: Evidence) -> Table:
    """The command of every study and its run in MLflow."""
    rows = [[study.model, command(study, evidence.protocol), study.run.id] for study in evidence.studies]
    note = "Flags that changed the data (such as --min-rating) are not in the record's parameters; the digest tells."
    return Table("How to reproduce them", ["model", "command", "run in MLflow"], rows, note, code={1, 2})


def command(study: StudyRuns, protocol: str) -> str:
    """The job as it was called, if that was recorded; put together from the study's parameters otherwise."""
    if names.COMMAND in study.run.tags:
        return study.run.tags[names.COMMAND]
    job = ["tune.py"] if study.trials else ["train.py"]
    words = ["python", f"jobs/{job[0]}", "--dataset", study.run.dataset, "--model", study.model]
    words += ["--protocol", protocol, "--metric", spelled(study.metric)]
    words += ["--trials", str(len(study.trials))] if study.trials else _settings(study)
    words += ["--seeds", str(len(study.tests[study.metric])), "--history", study.history]
    words += ["--validation", study.validation] if study.validation != GIVEN else []
    for name, flag in FLAGS.items():
        if name in study.run.params:
            words += [f"--{flag}", study.run.params[name]]
    return shlex.join(words)


def _untrained(study: StudyRuns) -> list[list[str]]:
    """How much of what is asked for nobody can have learned; nothing where the record does not say."""
    share = study.run.facts.get("valid_untrained")
    if share is None:
        return []
    told = f"{share:.1%} of the validation interactions are of items that nobody has in train"
    return [["what nobody can know", f"{told}: who learns from interactions alone cannot find them"]]


def _cut(study: StudyRuns) -> str:
    """How validation was cut, where it is not the given part."""
    if study.validation not in VALIDATIONS or study.validation == GIVEN:
        return ""
    return f" ({study.validation}: {VALIDATIONS.summary(study.validation).rstrip('.')})"


def _settings(study: StudyRuns) -> Sequence[str]:
    """--set for each parameter of a model that was trained without a search."""
    params = study.finals[0].params if study.finals else {}
    return [
        word
        for name, value in sorted(params.items())
        for word in ("--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    ]
