"""The record of truth: one Optuna study per search, which the driver alone writes and every resume reads.

Whatever a driver needs to go on after any death is here: which trials are finished, which were interrupted, what was
reported, which stay in the race. Sampler and pruner keep no state of their own: a trial is drawn with a seed made of
the study's seed and the trial's number, and rungs are compared through the record. So a search of one trial at a
time gives the same trials whether or not it was interrupted.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial, TrialState

from unblur.search import seal, sqlite_file
from unblur.search.generations import ENDED, FRESH, IDENTITY, chosen
from unblur.search.identity import StudyIdentity, apart
from unblur.search.pruner import Asha
from unblur.search.sampler import Sampler
from unblur.search.storage import file_of, open_storage, patient, readable
from unblur.seeds import derive
from unblur.training.record import ENDED as ENDED_STATES
from unblur.training.record import State, TrialRecord

REDUCTION = 3
"""ASHA's eta: about one trial in three passes a rung."""
FIRST_RUNG = 2
"""Evaluations before the first rung, since one evaluation says more of the learning rate than of the model."""
SECONDS = "seconds"
"""Attribute of a study: seconds that its starts have searched."""

_STATES = {
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAIL,
}


class Study:
    """A search's trials. Only one driver may hold it at a time (`lock`)."""

    def __init__(self, identity: StudyIdentity, study: optuna.Study) -> None:
        self.identity, self.optuna = identity, study
        self.apart: str | None = None
        """What sets a new study apart from one that was there, in words."""
        self.file: Path | None = None
        """Of the database, where it is one."""
        self._live: dict[int, optuna.Trial] = {}
        self._values: dict[int, dict[int, float]] = {}
        self.guard: Callable[[], None] = lambda: None
        """Makes sure that this driver still holds the study (`lock.driving`), before everything that it writes."""

    @classmethod
    def open(
        cls, identity: StudyIdentity, url: str, fresh: bool = False, taken: Callable[[str], bool] = lambda _: False
    ) -> Self:
        """Create the study of `identity` or resume it; `fresh` starts anew beside the old one (`generations.chosen`).

        taken: whether a name stands for an older study elsewhere. Raises UserError when the database cannot be opened
        or is damaged. Of a sound one with trials in it a copy is made, where it is a file.
        """
        file = file_of(url)
        if file:
            sqlite_file.check(file)
        with open_storage(url) as storage, readable(url):
            known = {each.study_name: each.user_attrs for each in storage.get_all_studies()}
            name = chosen(f"{identity.model}-{identity.hash}", known, fresh, taken)
            pruner = Asha(FIRST_RUNG * identity.eval_every, REDUCTION, identity.epochs)
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
            )
            opened = cls(identity, study)
            opened._check(fresh, known)
        opened.file = file
        opened.back_up()
        return opened

    def back_up(self) -> None:
        """Copy the database's file, if it is one and holds trials of this study."""
        if self.file and self.records():
            sqlite_file.back_up(self.file)

    def _check(self, fresh: bool, known: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what a new study is; ValueError when an older one is not what its name and seals say."""
        mine = self.identity.model_dump_json()
        if self.name not in known:
            if fresh:
                self.optuna.set_user_attr(FRESH, True)
            others = {name: json.loads(each[IDENTITY]) for name, each in known.items() if IDENTITY in each}
            self.apart = apart(self.identity, others)
        if known.get(self.name, {}).get(IDENTITY, mine) != mine:
            raise ValueError(f"the identity of {self.name} is not the one that its name tells")
        self.optuna.set_user_attr(IDENTITY, mine)
        trials = self.optuna.get_trials(deepcopy=False)  # at once: what is damaged stays so, however long one waits
        if broken := [trial.number for trial in trials if seal.is_broken(trial)]:
            raise ValueError(f"trial {broken[0]} of {self.name} is not as it was recorded")
        self.records()

    def _enqueue(self) -> None:
        """Queue the space's starting configurations, once, also when an earlier start died between two of them."""
        parameters = self.identity.space.parameters
        for entry in self.identity.space.enqueue[len(self._trials()) :]:
            self.optuna.enqueue_trial({name: parameters[name].encode(value) for name, value in entry.items()})

    @patient
    def _trials(self) -> list[FrozenTrial]:
        return self.optuna.get_trials(deepcopy=False)

    @property
    def name(self) -> str:
        return self.optuna.study_name

    @patient
    def settle(self) -> list[TrialRecord]:
        """Prune the interrupted trials whose driver died between the verdict and the act; returns them."""
        beaten = [t for t in self._interrupted() if self.optuna.pruner.prune(self.optuna, t)]
        for trial in beaten:
            self._seal(optuna.Trial(self.optuna, trial._trial_id), TrialState.PRUNED, trial.intermediate_values, None)
            self.optuna.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
        numbers = {trial.number for trial in beaten}
        return [record for record in self.records() if record.number in numbers]

    @patient
    def ask(self) -> tuple[int, dict[str, Any]]:
        """The next trial: an interrupted one with its number and parameters, then an enqueued, then a sampled one."""
        self.guard()
        self._enqueue()  # here and not when it is opened: two may open it, and one drives it
        dead = next(iter(self._interrupted()), None)
        number = dead.number if dead else sum(t.state != TrialState.WAITING for t in self._trials())
        self.optuna.sampler = Sampler(derive("sampling", self.identity.seed, number))
        trial = optuna.Trial(self.optuna, dead._trial_id) if dead else self.optuna.ask()
        params = self.identity.space.suggest(trial)
        self._live[number], self._values[number] = trial, dict(dead.intermediate_values) if dead else {}
        return number, params

    def _interrupted(self) -> list[FrozenTrial]:
        return [t for t in self._trials() if t.state == TrialState.RUNNING and t.number not in self._live]

    @patient
    def report(self, number: int, epoch: int, value: float, inference: Mapping[str, Any] | None = None) -> bool:
        """Record a validation value, and the settings of inference of the best so far; True means stop. A value already
        recorded for this epoch stays."""
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a value")
        self.guard()
        trial, values = self._live[number], self._values[number]
        if inference and inference != trial.user_attrs.get(seal.INFERENCE):
            trial.set_user_attr(seal.INFERENCE, dict(inference))
        if epoch not in values:
            trial.report(value, epoch)
            values[epoch] = value
        return trial.should_prune()

    def complete(self, number: int, value: float | None = None) -> TrialRecord:
        """Finish a trial; its score is `value`, or the best that it reported, as training keeps the best weights."""
        values = self._values[number].values()
        if not values:
            return self.fail(number, "it ended without reporting a validation value")
        return self._tell(number, TrialState.COMPLETE, max(values) if value is None else value)

    def prune(self, number: int) -> TrialRecord:
        """Finish a trial that was stopped early; its reported values stay."""
        return self._tell(number, TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> TrialRecord:
        """Finish a trial that went wrong; the first line of `reason` says why, a traceback may follow."""
        return self._tell(number, TrialState.FAIL, reason=reason)

    @patient
    def _tell(
        self, number: int, state: TrialState, value: float | None = None, reason: str | None = None
    ) -> TrialRecord:
        self.guard()
        if reason is not None and state == TrialState.FAIL:
            self._live[number].set_user_attr("reason", reason)
        self._seal(self._live[number], state, self._values[number], value)
        # an attempt before this one may have arrived and its answer been lost: then the trial is finished already
        told = self.optuna.tell(number, value, state=state, skip_if_finished=True)
        del self._live[number], self._values[number]
        return self._record(told)

    def _seal(self, trial: optuna.Trial, state: TrialState, values: Mapping[int, float], value: float | None) -> None:
        seal.put(trial, seal.seal(state, trial.params, values, value, trial.user_attrs.get(seal.INFERENCE, {})))

    @property
    def seconds(self) -> float:
        """How long all starts together have searched."""
        return float(self.optuna.user_attrs.get(SECONDS, 0.0))

    @patient
    def spend(self, total: float) -> None:
        """Keep for how many seconds all starts together have searched."""
        self.guard()
        self.optuna.set_user_attr(SECONDS, total)

    @patient
    def end(self) -> None:
        """Nothing is left to do in this study; the next `--fresh` begins another one."""
        self.guard()
        self.optuna.set_user_attr(ENDED, True)

    def release(self) -> None:
        """Let go of the running trials: they count as interrupted, and the next `ask` returns them."""
        self._live.clear()
        self._values.clear()

    def records(self) -> list[TrialRecord]:
        """All trials that have begun, by number."""
        return [self._record(t) for t in self._trials() if t.state != TrialState.WAITING]

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        return TrialRecord(
            number=trial.number,
            state=_STATES[trial.state],
            params=self.identity.space.decode(trial.params),
            value=trial.value if trial.state == TrialState.COMPLETE else None,
            values=dict(sorted(trial.intermediate_values.items())),
            inference=trial.user_attrs.get(seal.INFERENCE, {}),
            reason=trial.user_attrs.get("reason"),
        )

    def counts(self) -> dict[State, int]:
        """How many trials are complete, pruned, failed and running (or interrupted)."""
        states = [record.state for record in self.records()]
        return {state: states.count(state) for state in (*ENDED_STATES, State.RUNNING)}

    def missing(self, n_trials: int) -> int:
        """How many trials a search of `n_trials` has still to finish."""
        counts = self.counts()
        return max(0, n_trials - sum(counts[state] for state in ENDED_STATES))

    def best(self) -> TrialRecord | None:
        """The complete trial with the highest value, the earliest of equals."""
        complete = [record for record in self.records() if record.value is not None]
        return max(complete, key=lambda record: (record.value, -record.number), default=None)
