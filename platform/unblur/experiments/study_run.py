"""One model's study, from its first trial to the test of its final runs; and the same without a search."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from unblur.data.dataset import Dataset
from unblur.errors import RunFailed
from unblur.evaluation.protocol import GIVEN
from unblur.experiments.artefacts import SharedArtefacts, needed
from unblur.experiments.champion import expect_champion
from unblur.experiments.context import Session
from unblur.experiments.final_evaluation import FinalEvaluation, FinalResult, is_over
from unblur.experiments.final_runs import FinalRuns
from unblur.experiments.forecast import announce, estimates, plan_execution, sampled
from unblur.experiments.kept_reports import KeptReports, Reports, in_folder
from unblur.experiments.monitor import Monitor, exported
from unblur.experiments.namesakes import namesakes
from unblur.experiments.options import SearchOptions
from unblur.experiments.progress import Progress
from unblur.experiments.recording import Recorder, as_record, recorded
from unblur.experiments.results import Best, StudyResult, best_configuration
from unblur.experiments.search_trials import SearchTrials
from unblur.experiments.study_opening import agree, open_study
from unblur.experiments.study_record import parent_run, tell, views
from unblur.experiments.time_budget import left, searching
from unblur.files import under, write_text
from unblur.models import model_class, trained_by_gradient
from unblur.running.cleanup import DeleteCheckpoints, delete_leftovers
from unblur.running.cluster import ray_cluster
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.running.work import Listener
from unblur.search.identity import StudyIdentity
from unblur.search.inference_grid import grid
from unblur.search.lock import alone, driving
from unblur.search.storage import shown
from unblur.search.study import Study
from unblur.tracking.tracker import Tracker
from unblur.training.record import ENDED, State, TrialRecord

NOTHING = Execution(Resources())
"""For a study that is over: no task is left, and the cluster is not asked."""


@dataclass(frozen=True)
class StudyRun:
    """The run of one model's study in a session, told to `console`."""

    session: Session
    identity: StudyIdentity
    console: Console

    def search(self, options: SearchOptions, url: str, cluster: ExitStack) -> StudyResult | None:
        """Search, train the best with several seeds, test, register; what is done already is not done again.

        url: the study's database. cluster: where Ray is started when it is needed first, and lives until the end of
        the stack. None after a dry run. Raises RunFailed.
        """
        started = time.monotonic()
        if options.dry_run:
            self._dry(cluster)
            return None
        with ExitStack() as stack:
            study = open_study(self.session, self.identity, url, options.fresh, self.console)
            study.guard = stack.enter_context(driving(url, study.name))
            execution = NOTHING
            if _searched_on(study, options) or not is_over(self._best_runs(study), self.session.data):
                execution = self._plan(cluster)
            kept = self._trial_reports(study)
            first = next((kept.of(each.number, each.params) for each in study.records()), None)
            tracker = stack.enter_context(self._recorded(study.name, "search", first))
            self._say(f"study {study.name} in {shown(url)}: {_counts(study)}")
            agree(tracker, study, self.console)
            metric = self.identity.metric
            tracker.reconcile(as_record(each, metric, kept.of(each.number, each.params)) for each in study.records())
            self._search(study, options, execution, tracker)
            searched = time.monotonic()
            runs = self._best_runs(study)
            final = self._evaluate(study.name, runs, execution, tracker)
            delete_leftovers(runs.folder, runs.is_one)  # those of an earlier best are beaten
            study.end()
            best = study.best()
            assert best is not None and best.value is not None
            found = Best(best.number, best.params, best.value, best.number < len(self.identity.space.enqueue))
            counts = study.counts()
            trials = {state: counts[state] for state in ENDED}
            return self._result(study.name, trials, found, final, tracker, _seconds(started, searched))

    def train(self, cluster: ExitStack) -> StudyResult | None:
        """Train, test and register the one configuration that the space fixes; None after a dry run."""
        started = time.monotonic()
        name = f"{self.identity.model}-train-{self.identity.hash}"
        if self.session.options.dry_run:
            self._dry(cluster)
            return None
        with ExitStack() as stack:
            stack.enter_context(alone(name, self.session.root, self.session.data.local))
            runs = self._runs(name, 0, self.identity.space.fixed)
            execution = NOTHING if is_over(runs, self.session.data) else self._plan(cluster)
            first = runs.reports.of(runs.numbers[0], runs.params)
            tracker = stack.enter_context(self._recorded(name, "training", first))
            final = self._evaluate(name, runs, execution, tracker)
            best = Best(None, runs.params, max(final.valid))
            trials = dict.fromkeys(ENDED, 0)
            return self._result(name, trials, best, final, tracker, _seconds(started, started))

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def _dry(self, cluster: ExitStack) -> None:
        self._plan(cluster)
        self._say("dry run: nothing was started")

    def _plan(self, cluster: ExitStack) -> Execution:
        """Say what will be done, with Ray up; UserError when the cluster can give no training what it needs, or the
        champion that the model will be held against has no files any more."""
        store, data = self.session.store, self.session.data
        known_users_only = model_class(self.identity.model).KNOWN_USERS_ONLY
        champion = None if known_users_only else expect_champion(store, data.name, data.dataset)
        for note in filter(None, (champion, namesakes(store, data))):
            self._say(f"note: {note}")
        cluster.enter_context(ray_cluster())
        sampled = estimates(self.identity.space, self.session.data.dataset)
        execution, gpus = plan_execution(self.session.options, [self.identity.model], sampled)
        announce(self.session, self.identity, execution, sampled, self.console)
        if gpus:
            self._say(gpus)
        return execution

    def _search(self, study: Study, options: SearchOptions, execution: Execution, tracker: Tracker) -> None:
        if not _searched_on(study, options):
            if study.missing(options.trials):
                self._say(f"the time budget is spent: {study.seconds:.0f} of {options.time_budget:g} s in all starts")
            return
        # of the trials alone: final runs are always evaluated on everyone
        schedule = self.session.schedule.model_copy(update={"validation_users": options.validation_users})
        source = SearchTrials(study, options.trials, schedule, under(self.session.home(study.name), "trials"))
        running = {record.number for record in study.records() if record.state == State.RUNNING}
        delete_leftovers(source.folder, running.__contains__)
        shared = self._shared(self.session.data.selection, sampled(self.identity.space))
        data = {"": shared.made(execution)[0]}
        if shared.artefacts:
            tracker.note_study({}, shared.spent("trial", execution, [0]))
        watched = Monitor(tracker, self._labels(study.name), "trial", schedule.metric, options.trials, execution)
        with self._progress("trial", options.trials, study.records()) as progress, exported(watched) as monitor:
            listeners: list[Listener] = [
                progress,
                monitor,
                Recorder(tracker, "trial", schedule.metric, execution.resources, self._trial_reports(study)),
                DeleteCheckpoints(source.folder),
            ]
            with searching(study, options.trials, options.time_budget) as (clock, seconds):
                execution.run(source, data, [*listeners, clock], seconds)
        tracker.end_running("the time budget is spent")
        study.back_up()
        best = study.best()
        found = f"; best trial {best.number}: {options.metric} {best.value:.4f} on validation" if best else ""
        self._say(f"search: {_counts(study)}{found}")

    def _trial_reports(self, study: Study) -> KeptReports:
        return in_folder(under(self.session.home(study.name), "reports"), "trial")

    def _shared(self, dataset: Dataset, configurations: Sequence[dict[str, Any]]) -> SharedArtefacts:
        """What trainings of these configurations share."""
        artefacts = needed(self.identity.model, configurations)
        return SharedArtefacts(dataset, artefacts, self.identity.seed, self.session.root)

    def _final_data(self, runs: FinalRuns, execution: Execution, tracker: Tracker) -> dict[str, Dataset]:
        """The data of each seed, with its artefacts, and what these took beside the search's on the study's run."""
        data, seeds = self.session.data, range(runs.seeds)
        shared = self._shared(data.dataset, [runs.params])
        made = shared.made(execution, seeds)
        searched = data.dataset.digest == data.selection.digest and tracker.numbers("trial")
        if shared.artefacts:
            tracker.note_study({}, shared.spent("final", execution, seeds, [0] if searched else []))
        return {str(seed): each for seed, each in made.items()}

    def _best_runs(self, study: Study) -> FinalRuns:
        """The final runs of the study's best trial; RunFailed when no trial was completed."""
        best = study.best()
        if best is None:
            study.end()
            raise RunFailed(_nothing_completed(study))
        runs = self._runs(study.name, best.number, best.params)
        return runs if self.session.data.validation == GIVEN else runs.as_chosen(best)

    def _runs(self, study: str, configuration: int, params: dict[str, Any]) -> FinalRuns:
        return FinalRuns(
            folder=under(self.session.home(study), "final"),
            configuration=configuration,
            model=self.identity.model,
            params=params,
            seed=self.identity.seed,
            seeds=self.session.options.seeds if model_class(self.identity.model).RANDOM else 1,
            schedule=self.session.schedule,
            grid=tuple(grid(self.identity.model, self.identity.swept, params)),
        )

    def _evaluate(self, study: str, runs: FinalRuns, execution: Execution, tracker: Tracker) -> FinalResult:
        if missing := runs.trainings().missing():
            self._say(f"final runs: {len(missing)} of {runs.seeds}")
        evaluation = FinalEvaluation(runs, self.session.data, tracker, self.console)
        of, metric = self._labels(study), runs.schedule.metric
        watched = Monitor(tracker, of, "final", metric, runs.seeds, execution, runs.is_one)
        with self._progress("final", runs.seeds) as progress, exported(watched) as monitor:
            made = self._final_data(runs, execution, tracker) if missing else {}
            evaluation.train(execution, made, [progress, monitor])
            return evaluation.test(execution)

    def _labels(self, study: str) -> dict[str, str]:
        """Of what Prometheus is told."""
        return {"study": study, "dataset": self.session.data.name, "model": self.identity.model}

    def _progress(self, kind: Any, total: int, records: Sequence[TrialRecord] = ()) -> Progress:
        options, title = self.session.options, self.identity.model if kind == "trial" else ""
        return Progress(
            self.console,
            total,
            options.metric,
            self.identity.metric,
            records,
            kind,
            epochs=options.epochs if trained_by_gradient(self.identity.model) else None,
            title=title,
        )

    def _recorded(self, study: str, purpose: str, first: Reports | None) -> AbstractContextManager[Tracker]:
        data = self.session.data
        return recorded(self.session.store, data, parent_run(self.identity, study, data, purpose, first), self.console)

    def _result(
        self,
        study: str,
        trials: dict[State, int],
        best: Best,
        final: FinalResult,
        tracker: Tracker,
        seconds: dict[str, float],
    ) -> StudyResult:
        configuration = under(self.session.home(study), "best.yaml")
        written = best_configuration(study, best, final, self.session.options.metric)
        write_text(configuration, written)
        result = StudyResult(
            study=study,
            model=self.identity.model,
            metric=self.session.options.metric,
            data=self.session.data,
            trials=trials,
            best=best,
            final=final,
            workers=self.session.options.workers_per_trial,
            tracking_uri=self.session.store.address,
            experiment_id=tracker.experiment_id,
            parent_run_id=tracker.parent_run_id,
            seconds=seconds,
            configuration=configuration,
            views={view.name: view.path(tracker.experiment_id) for view in views(self.identity)},
        )
        tell(tracker, self.identity, result, written)
        return result


def _seconds(started: float, searched: float) -> dict[str, float]:
    """Of the search that ended at `searched`, of what came after it until now, and in total."""
    now = time.monotonic()
    return {"search": searched - started, "final": now - searched, "total": now - started}


def _searched_on(study: Study, options: SearchOptions) -> bool:
    """Whether there are trials to finish, and time to do so."""
    return study.missing(options.trials) > 0 and left(study, options.time_budget) != 0


def _nothing_completed(study: Study) -> str:
    reasons = [f" Trial {each.number}: {each.reason.splitlines()[0]}." for each in study.records() if each.reason]
    return (
        f"no trial was completed ({_counts(study)}), so there is nothing to test.{''.join(reasons[:1])} Correct the "
        "cause, then raise --trials (or --time-budget) to go on in this study, or give --fresh to begin another; "
        "MLflow has the reason of each that failed"
    )


def _counts(study: Study) -> str:
    return ", ".join(f"{count} {state}" for state, count in study.counts().items() if count) or "new"
