"""The border to Ray: typed reports as the dictionaries that Ray Tune and Ray Train carry."""

from dataclasses import asdict
from typing import Any

from ray import tune

from unblur.training.report import Finished, Progress

KEY = "report"
KINDS: dict[str, type[Progress] | type[Finished]] = {"progress": Progress, "finished": Finished}


def to_ray(report: Progress | Finished) -> dict[str, Any]:
    """A report as Ray carries it: in a list, since Tune flattens dictionaries in dictionaries."""
    return {KEY: [type(report).__name__.lower(), asdict(report)]}


def from_ray(result: dict[str, Any]) -> Progress | Finished | None:
    """The report in a result of Ray's, among keys of its own; None when there is none in it."""
    if KEY not in result:
        return None
    kind, fields = result[KEY]
    return KINDS[kind](**fields)


def report(what: Progress | Finished) -> None:
    """Hand a report to the driver, from the process of a trial; the trial may be stopped in it."""
    tune.report(to_ray(what))
