"""The study as the record of truth: resumes, pruning, determinism, locks and bad databases."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.helpers.toy_study import SPACE, identity, run, table
from tests.helpers.toy_values import value

from unblur.errors import UserError
from unblur.search.space import Choice
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.seeds import derive


def test_enqueued_come_first_then_sampled_and_all_are_decoded(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    first, second, third = study.ask(), study.ask(), study.ask()
    assert first == (0, {"y": 3, "x": 0.5, "dims": [1, 2], "kind": "flat"})
    assert second[0] == 1 and second[1]["x"] == -0.5
    assert third[0] == 2 and third[1]["x"] not in (0.5, -0.5)
    assert [record.params for record in study.records()] == [first[1], second[1], third[1]]


def test_pruned_trials_keep_their_values_and_are_not_complete(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    run(study, 12)
    counts = study.counts()
    assert counts["pruned"] >= 4 and counts["complete"] >= 1 and counts["running"] == 0
    for record in study.records():
        if record.state == "pruned":
            assert record.value is None and record.values and max(record.values) in (2, 6), "stopped on a rung"
            assert record.values[1] == value(record.params, 1)
        else:
            assert record.value == max(record.values.values())
    best = study.best()
    assert best is not None and best.value == max(r.value for r in study.records() if r.value is not None)


def test_a_score_is_the_best_value_not_the_last(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    number, _ = study.ask()
    for epoch, reported in enumerate([0.1, 0.9, 0.2], start=1):
        study.report(number, epoch, reported)
    study.complete(number)
    assert study.records()[0].value == 0.9


def ended(study: Study, *reported: float, pruned: bool = False) -> int:
    """A trial that reported these values."""
    number, _ = study.ask()
    for epoch, each in enumerate(reported, start=1):
        study.report(number, epoch, each)
    study.prune(number) if pruned else study.complete(number)
    return number


def test_the_best_is_complete_and_the_earliest_of_equals(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    ended(study, 0.4)
    ended(study, 0.9, pruned=True)
    first = ended(study, 0.2, 0.6, 0.5)
    ended(study, 0.6)
    best = study.best()
    assert best is not None and (best.number, best.value) == (first, 0.6)


def test_an_epoch_counts_as_it_was_reported_first(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    number, _ = study.ask()
    study.report(number, 1, 0.3)
    study.report(number, 1, 0.9)
    assert study.complete(number).value == 0.3 == study.records()[0].values[1]


def test_the_settings_of_the_best_evaluation_outlive_a_death_and_are_sealed(tmp_path: Path) -> None:
    study = Study.open(identity(), url := local_url(tmp_path))
    number, _ = study.ask()
    study.report(number, 1, 0.3, {"scale": 1.0})
    study.report(number, 2, 0.5, {"scale": 4.0})
    again = Study.open(identity(), url)  # the driver died, and all that is left to do is to finish
    assert again.ask()[0] == number
    again.complete(number)
    ended(again, 0.2)
    assert [record.inference for record in again.records()] == [{"scale": 4.0}, {}]
    change = "UPDATE trial_user_attributes SET value_json = '{\"scale\": 0.0}' WHERE key = 'inference'"
    with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        assert database.execute(change).rowcount == 1
    with pytest.raises(UserError, match=r"trial 0 of .* is not as it was recorded"):
        Study.open(identity(), url)


def test_seeded_search_repeats_exactly_and_in_pieces(tmp_path: Path) -> None:
    whole = Study.open(identity(), local_url(tmp_path / "whole"))
    run(whole, 25)
    url = local_url(tmp_path / "pieces")
    run(Study.open(identity(), url), 25, die_at=(4, 2))
    run(Study.open(identity(), url), 25, die_at=(14, 1))
    assert run(Study.open(identity(), url), 20)[0] == 14
    run(Study.open(identity(), url), 25)
    assert table(Study.open(identity(), url)) == table(whole)
    assert len({record.params["x"] for record in whole.records()}) == 25, "no draw is repeated"
    other = Study.open(identity(seed=1), url)
    run(other, 5)
    assert table(other)[2:] != table(whole)[2:5]


def test_finished_study_has_nothing_missing_and_more_can_be_asked(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    run(study, 5)
    again = Study.open(identity(), local_url(tmp_path))
    assert again.missing(5) == 0 and again.missing(8) == 3 and again.missing(2) == 0
    assert run(again, 8) == [5, 6, 7]


def test_failed_trials_keep_their_reason_and_count(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    number, _ = study.ask()
    study.fail(number, "the loss became NaN")
    silent, _ = study.ask()
    study.complete(silent)
    assert [(r.state, r.value) for r in study.records()] == [("failed", None)] * 2
    assert study.records()[0].reason == "the loss became NaN"
    assert "without reporting" in str(study.records()[1].reason)
    assert study.missing(3) == 1 and study.best() is None


def test_nan_is_never_recorded(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    number, _ = study.ask()
    with pytest.raises(ValueError, match="nan"):
        study.report(number, 1, float("nan"))
    assert study.records()[0].values == {}


def test_several_interrupted_trials_come_back_once_each(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    asked = [study.ask() for _ in range(3)]
    study.report(1, 1, 0.5)
    again = Study.open(identity(), local_url(tmp_path))
    assert [again.ask() for _ in range(3)] == asked
    assert again.ask()[0] == 3
    again.complete(1)
    assert again.records()[1].values == {1: 0.5}, "what was reported before the death counts"
    again.release()
    assert [again.ask()[0] for _ in range(3)] == [0, 2, 3]


def test_death_between_verdict_and_act_is_settled(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    for worth in (0.9, 0.8, 0.1):
        number, _ = study.ask()
        verdicts = [study.report(number, epoch, worth) for epoch in (1, 2)]
        if worth > 0.1:
            study.complete(number)
    assert verdicts == [False, True]
    again = Study.open(identity(), local_url(tmp_path))
    assert [(r.number, r.state, r.values) for r in again.settle()] == [(2, "pruned", {1: 0.1, 2: 0.1})]
    assert again.settle() == [] and again.ask()[0] == 3


def test_death_between_two_draws_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n_before in (3, 20):
        whole, broken = (Study.open(identity(), local_url(tmp_path / f"{name}{n_before}")) for name in "ab")
        run(whole, n_before + 1)
        run(broken, n_before)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Choice, "suggest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            broken.ask()
        assert broken.records()[-1].params.keys() == {"y", "x"}
        run(broken, n_before + 1)
        assert table(broken) == table(whole)


def test_identity_decides_which_study_it_is(tmp_path: Path) -> None:
    url = local_url(tmp_path)
    run(Study.open(identity(), url), 2)
    assert Study.open(identity(epochs=10), url).missing(2) == 2
    space = {**SPACE, "fixed": {"y": 4}}
    assert identity(space=space).hash != identity().hash
    fresh = Study.open(identity(), url, fresh=True)
    assert fresh.missing(2) == 2 and Study.open(identity(), url).name == fresh.name, "the newest is resumed"


def test_trial_seeds() -> None:
    seeds = {derive("training", study, number) for study in range(20) for number in range(100)}
    assert len(seeds) == 2000 and derive("training", 3, 5) == derive("training", 3, 5) and max(seeds) < 2**32


def test_an_interrupted_fresh_goes_on_with_what_it_began_until_that_has_ended(tmp_path: Path) -> None:
    url = local_url(tmp_path)
    first = Study.open(identity(), url)
    run(first, 2)
    second = Study.open(identity(), url, fresh=True)
    run(second, 3, die_at=(1, 2))
    third = Study.open(identity(), url, fresh=True)
    assert second.name == third.name != first.name and third.missing(3) == 2
    third.end()
    fourth = Study.open(identity(), url, fresh=True)
    assert fourth.name not in (first.name, second.name) and fourth.missing(3) == 3
    assert Study.open(identity(), url).name == fourth.name
    assert Study.open(identity(seed=5), url, fresh=True, taken=lambda name: not name.endswith("-3")).name.endswith("-3")


def test_seconds_are_those_of_all_starts(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    assert study.seconds == 0
    study.spend(2.5)
    assert Study.open(identity(), local_url(tmp_path)).seconds == 2.5
