"""Commands that follow a study, as a person can paste them."""

import shlex

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
    return [shlex.join(["unblur", *(redact(word) for word in step)]) for step in steps]
