"""The race: who is stopped, on which rung."""

import optuna
from hypothesis import given
from hypothesis import strategies as st

from unblur.search.pruner import Asha


def race(values: list[list[float]], epochs_per_value: int = 5, last: int = 1000) -> list[int]:
    """The epoch at which each trial, run one after the other, is stopped or ends."""
    study = optuna.create_study(direction="maximize", pruner=Asha(10, 3, last))
    ends = []
    for trial_values in values:
        trial = study.ask()
        for i, value in enumerate(trial_values, start=1):
            trial.report(value, i * epochs_per_value)
            if trial.should_prune():
                break
        ends.append(i * epochs_per_value)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return ends


def test_rungs_and_places() -> None:
    constant = [[float(worth)] * 20 for worth in (5, 4, 3, 4.5, 1, 9, 2)]
    # the first two race against nobody; of three one goes on, of four to six two, of seven three
    assert race(constant) == [100, 100, 10, 30, 10, 100, 10]


def test_stopped_only_on_rungs() -> None:
    falling = [[10.0 - i] * 20 for i in range(8)]
    assert set(race(falling)) <= {10, 30, 90, 100}


def test_a_rung_between_two_evaluations_counts_at_the_next() -> None:
    assert race([[3.0] * 4, [2.0] * 4, [1.0] * 4], epochs_per_value=7) == [28, 28, 14]


def test_ties_go_on() -> None:
    assert race([[1.0] * 20] * 6) == [100] * 6


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30))
def test_the_best_so_far_is_never_stopped(worths: list[float]) -> None:
    ends = race([[worth] * 10 for worth in worths])
    for i, worth in enumerate(worths):
        assert worth < max(worths[: i + 1]) or ends[i] == 50


def test_one_past_its_best_is_worth_its_best() -> None:
    risen_and_fallen = [9.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert race([[2.0] * 7, [3.0] * 7, [4.0] * 7, risen_and_fallen])[-1] == 35


def test_what_rivals_came_to_later_does_not_count() -> None:
    late = [0.1, 0.1, 9.0, 9.0, 9.0]
    assert race([late, late, [0.5] * 5])[-1] == 25


def test_nothing_is_stopped_at_its_last_epoch() -> None:
    assert race([[3.0] * 2, [2.0] * 2, [1.0] * 2], last=10) == [10, 10, 10]
    assert race([[3.0] * 6, [2.0] * 6, [1.0] * 6], last=30) == [30, 30, 10]
