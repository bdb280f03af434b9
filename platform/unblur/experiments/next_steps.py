"""Commands that follow a study, as a person can paste them."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from unblur.experiments.options import DashboardOptions, RunOptions, StorageFlags
from unblur.experiments.results import StudyResult
from unblur.models import model_class
from unblur.redaction import redact


def next_steps(result: StudyResult, options: RunOptions) -> list[str]:
    """The comparison with other studies of the same data, the same configuration with more seeds, recommendations, and
    the runs' pages where no server has them."""
    places, data = options.words(*StorageFlags.model_fields), options.words("data")
    steps = [report_step(result, options)]
    if "://" not in result.configuration and model_class(result.model).RANDOM:  # others come out the same
        train = ["train", "--model", result.model, "--config", result.configuration, "--seeds", "5"]
        steps.append([*train, *data, *options.words("history"), *places])
    if result.final.model_uri:
        recommend = ["recommend", "--model", result.final.model_uri, *data, *places]
        steps.append([*recommend, "--output", "recommendations.csv"])
    if not served(result):
        given = [field for field in DashboardOptions.model_fields if hasattr(options, field)]
        steps.append(["dashboard", *options.words(*given)])
    return list(map(pasteable, steps))


def served(result: StudyResult) -> bool:
    """Whether a server has MLflow's pages on the study."""
    return result.tracking_uri.startswith("http")


def report_step(result: StudyResult, options: RunOptions) -> list[str]:
    """The command of a report on the data of a study."""
    data = ["--dataset", result.data.request.dataset, *options.data.words("protocol")]
    return ["report", *data, *options.words("storage", "tracking_uri"), "--output", "report.html"]


def pasteable(step: Sequence[str]) -> str:
    """The words of a command as a line for the shell, without what is secret."""
    return shlex.join([program("unblur"), *map(redact, step)])


def program(name: str) -> str:
    """The command as it can be typed here: by its name, or by its path where the environment is not activated."""
    beside_us = Path(sys.executable).with_name(name)
    return name if which(name) or not beside_us.exists() else os.path.relpath(beside_us)
