"""`jobs/train.py`: one configuration, trained with each seed, tested once each and registered."""

from contextlib import ExitStack
from typing import Any

from rich.console import Console

from unblur import models
from unblur.documents import configured
from unblur.errors import UserError
from unblur.experiments.context import SILENT, open_session
from unblur.experiments.display import conclude
from unblur.experiments.forecast import refuse_infeasible
from unblur.experiments.from_trial import of_trial
from unblur.experiments.options import RunOptions, TrainOptions
from unblur.experiments.results import StudyResult
from unblur.experiments.study_opening import identity_of
from unblur.experiments.study_run import StudyRun
from unblur.experiments.winners import Winners
from unblur.models.base import ModelConfig
from unblur.models.needs import refuse_unmet
from unblur.search.space import SearchSpace


def train(options: TrainOptions, console: Console = SILENT) -> StudyResult | None:
    """Train, test and register the configuration that the options give; None after a dry run."""
    if options.config and options.from_trial is not None:
        raise UserError("both --config and --from-trial say which configuration: leave one out")
    given = [*_of_trial(options, console), *options.set]
    config = configured(models.config_class(options.model), given, options.config)
    return train_configuration(options, config, console)


def _of_trial(options: TrainOptions, console: Console) -> list[str]:
    if options.from_trial is None:
        return []
    return of_trial(options.from_trial, options.model, options.data, options.tracking_uri, console)


def train_configuration(options: RunOptions, config: ModelConfig, console: Console = SILENT) -> StudyResult | None:
    """Train, test and register `config`, of the model that the options name; None after a dry run."""
    session = open_session(options, console)
    dataset = session.data.dataset
    refuse_unmet(config, dataset)
    fixed: dict[str, Any] = config.model_dump(mode="json")
    space = Winners.on(session, console).of(SearchSpace(model=options.model, parameters={}, fixed=fixed))
    refuse_infeasible([space], dataset)
    with ExitStack() as cluster:
        result = StudyRun(session, identity_of(session, options.model, space), console).train(cluster)
    if result:
        conclude(result, options, console)
    return result
