"""Commands that follow a study, as a person can paste them."""

import os
import shlex
import sys
from pathlib import Path
from shutil import which

from unblur.experiments.options import RunOptions, StorageFlags
from unblur.experiments.results import StudyResult
from unblur.redaction import redact


def next_steps(result: StudyResult, options: RunOptions) -> list[str]:
    """The comparison with other studies of the same data, the same configuration with more seeds, recommendations."""
    places, data = options.words(*StorageFlags.model_fields), options.words("data")
    report = ["report", "--dataset", result.data.name, *options.data.words("protocol")]
    steps = [[*report, *options.words("tracking_uri"), "--output", "report.html"]]
    if "://" not in result.configuration:
        train = ["train", "--model", result.model, "--config", result.configuration, "--seeds", "5"]
        steps.append([*train, *data, *options.words("history"), *places])
    if result.final.model_uri:
        recommend = ["recommend", "--model", result.final.model_uri, *data, *places]
        steps.append([*recommend, "--output", "recommendations.csv"])
    return [shlex.join([program("unblur"), *map(redact, step)]) for step in steps]


def program(name: str) -> str:
    """The command as it can be typed here: by its name, or by its path where the environment is not activated."""
    beside_us = Path(sys.executable).with_name(name)
    return name if which(name) or not beside_us.exists() else os.path.relpath(beside_us)
