"""Each trial is in MLflow once, with each epoch once, whatever happened to the driver or to MLflow."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unblur
from unblur import provenance
from unblur.tracking.client import Store
from unblur.tracking.runs import Record, Run, spread, text
from unblur.tracking.tracker import Tracker
from unblur.training.record import State

OpenTracker = Callable[..., Tracker]
PARAMS = {"lr": 1e-3, "dims": [200, 600], "reweight": True, "denoiser": "concat"}


def runs(store: Store, kind: str) -> dict[int, Any]:
    """The runs of a kind, by number; fails on duplicates."""
    ids = [each.experiment_id for each in store.client.search_experiments()]
    found = store.client.search_runs(ids, f"tags.`unblur.kind` = '{kind}'")
    by_number = {int(run.data.tags["unblur.number"]): run for run in found}
    assert len(by_number) == len(found), "a run is there twice"
    return by_number


def history(store: Store, run: Any, metric: str = "valid/ndcg_at_10") -> list[tuple[int, float]]:
    """(epoch, value) in the order of their times."""
    points = store.client.get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in sorted(points, key=lambda point: (point.timestamp, point.step))]


def train(tracker: Tracker, number: int, epochs: list[int], kind: str = "trial") -> None:
    tracker.start(kind, number, PARAMS)  # type: ignore[arg-type]
    for epoch in epochs:
        tracker.log(kind, number, epoch, {"valid/ndcg_at_10": epoch / 100, "train/loss": 1 / epoch})  # type: ignore[arg-type]


def test_a_study_as_people_see_it(store: Store, open_tracker: OpenTracker, tmp_path: Path) -> None:
    tracker = open_tracker(store)
    train(tracker, 7, [5, 10])
    tracker.end("trial", 7, State.COMPLETE)
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "1.txt").write_text("x")
    (tmp_path / "top.txt").write_text("x")
    artifacts = {"": tmp_path / "top.txt", "per_user": tmp_path / "users"}
    tracker.finish({"seconds/total": 3.5}, {"test/ndcg_at_10": [0.1, 0.3]}, artifacts, {"note": "ok"})
    assert tracker.close() is None

    trial, parent = runs(store, "trial")[7], runs(store, "study")[0]
    assert trial.info.run_name == "trial 0007" and trial.info.status == "FINISHED"
    assert trial.data.params == {"lr": "0.001", "dims": "[200, 600]", "reweight": "true", "denoiser": "concat"}
    assert trial.data.tags["mlflow.parentRunId"] == tracker.parent_run_id == parent.info.run_id
    assert history(store, trial) == [(5, 0.05), (10, 0.1)]
    assert parent.info.run_name == "toys diffrec" and parent.info.status == "FINISHED"
    assert parent.data.metrics == pytest.approx(
        {"test/ndcg_at_10": 0.2, "test/ndcg_at_10_std": 0.02**0.5, "seconds/total": 3.5}
    )
    values = json.loads(Path(store.client.download_artifacts(parent.info.run_id, "values.json")).read_text())
    assert values == {"test/ndcg_at_10": [0.1, 0.3]}
    assert trial.data.tags["unblur.model"] == "diffrec", "by which the list finds a model's trials"
    assert parent.data.tags["mlflow.note.content"] == "toys diffrec" and parent.data.tags["note"] == "ok"
    shown = parent.inputs.dataset_inputs[0].dataset
    assert (shown.name, shown.digest, json.loads(shown.profile)) == ("toys", ("ab" * 32)[:36], {"users": 3, "items": 5})
    files = {each.path for each in store.client.list_artifacts(parent.info.run_id)}
    assert files == {"values.json", "top.txt", "per_user"}
    assert [each.path for each in store.client.list_artifacts(parent.info.run_id, "per_user")] == ["per_user/1.txt"]


@pytest.mark.parametrize(
    ("state", "status"), [(State.COMPLETE, "FINISHED"), (State.PRUNED, "FINISHED"), (State.FAIL, "FAILED")]
)
def test_states(store: Store, open_tracker: OpenTracker, state: State, status: str) -> None:
    tracker = open_tracker(store)
    tracker.start("trial", 0, {})
    tracker.end("trial", 0, state, "Traceback (most recent call last):\n  at http://u:pw@h/\nValueError: loss is NaN")
    tracker.close()
    run = runs(store, "trial")[0]
    assert run.info.status == status and run.data.tags["unblur.reason"] == "ValueError: loss is NaN"
    assert run.data.tags["unblur.state"] == str(state)
    path = store.client.download_artifacts(run.info.run_id, "reason.txt")
    assert "at http://h/" in Path(path).read_text()


def test_a_resumed_study_finds_its_runs_and_logs_no_epoch_twice(store: Store, open_tracker: OpenTracker) -> None:
    first = open_tracker(store)
    train(first, 0, [5, 10])
    first.end("trial", 0, State.COMPLETE)
    train(first, 1, [5, 10])
    train(first, 0, [5], kind="final")
    first.close()

    second = open_tracker(store)
    assert second.parent_run_id == first.parent_run_id
    train(second, 1, [10, 15])  # goes on from the checkpoint of epoch 5, so epoch 10 comes again
    second.end("trial", 1, State.PRUNED)
    train(second, 2, [5])
    second.close()

    trials = runs(store, "trial")
    assert sorted(trials) == [0, 1, 2] and sorted(runs(store, "final")) == [0] and sorted(runs(store, "study")) == [0]
    assert history(store, trials[1]) == [(5, 0.05), (10, 0.1), (15, 0.15)]
    assert [trials[number].data.tags["unblur.state"] for number in range(3)] == ["complete", "pruned", "running"]
    assert runs(store, "study")[0].info.status == "RUNNING"


def test_a_run_says_which_versions_and_commits_worked_on_it(
    store: Store, open_tracker: OpenTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newest last, each once in a row; a start that finds nothing to do has worked on nothing."""
    starts = [("1", "a", [0, 1]), ("1", "b", [1]), ("2", None, [1, 2]), ("1", "b", [1]), ("3", "c", [])]
    for version, commit, numbers in starts:
        monkeypatch.setattr(unblur, "__version__", version)
        monkeypatch.setattr(provenance, "commit", lambda commit=commit: commit)
        tracker = open_tracker(store)
        for number in numbers:
            train(tracker, number, [5])
        tracker.close()
    found = {**runs(store, "trial"), "study": runs(store, "study")[0]}
    tags = {key: (run.data.tags["unblur.version"], run.data.tags["unblur.commit"]) for key, run in found.items()}
    assert tags == {0: ("1", "a"), 1: ("1, 2, 1", "a, b"), 2: ("2", ""), "study": ("1, 2, 1", "a, b")}


def test_the_reason_of_an_interruption_does_not_outlive_it(store: Store, open_tracker: OpenTracker) -> None:
    first = open_tracker(store)
    first.end_study(State.INTERRUPTED, "interrupted")
    first.close()
    parent = runs(store, "study")[0]
    assert (parent.info.status, parent.data.tags["unblur.reason"]) == ("KILLED", "interrupted")
    assert parent.data.tags["unblur.state"] == "interrupted"
    second = open_tracker(store)
    second.finish({}, {"test/ndcg_at_10": [0.1]})
    second.close()
    parent = runs(store, "study")[0]
    assert (parent.info.status, parent.data.tags["unblur.reason"]) == ("FINISHED", "")


@pytest.mark.parametrize("state", [State.INTERRUPTED, State.FAIL])
def test_a_result_is_not_taken_back_by_a_start_that_comes_to_none(
    store: Store, open_tracker: OpenTracker, state: State
) -> None:
    first = open_tracker(store)
    first.finish({}, {"test/ndcg_at_10": [0.1]})
    first.close()
    second = open_tracker(store)  # with more trials, say
    train(second, 3, [5])
    assert runs(store, "study")[0].info.status == "FINISHED", "also if this start is killed now"
    second.end_running("interrupted")
    second.end_study(state, "interrupted")
    second.close()
    parent = runs(store, "study")[0]
    assert (parent.info.status, parent.data.tags["unblur.state"]) == ("FINISHED", "complete")
    assert runs(store, "trial")[3].info.status == "KILLED" and parent.data.metrics["test/ndcg_at_10"] == 0.1


def test_studies_keep_apart(store: Store, open_tracker: OpenTracker) -> None:
    one, two = open_tracker(store, "s1"), open_tracker(store, "s2")
    assert one.experiment_id == two.experiment_id and one.parent_run_id != two.parent_run_id


def records() -> list[Record]:
    epochs = {epoch: {"valid/ndcg_at_10": epoch / 100} for epoch in (5, 10, 15)}
    return [
        Record("trial", 0, PARAMS, State.COMPLETE, epochs),
        Record("trial", 1, PARAMS, State.PRUNED, epochs, "stopped by ASHA"),
        Record("trial", 2, PARAMS, State.FAIL, {}, "out of memory"),
        Record("trial", 3, PARAMS, State.RUNNING, epochs),
    ]


def test_reconcile_adds_what_a_crash_has_lost_once(store: Store, open_tracker: OpenTracker) -> None:
    crashed = open_tracker(store)
    train(crashed, 0, [5])
    crashed.close()
    for _ in range(2):
        tracker = open_tracker(store)
        for _ in range(2):
            tracker.reconcile(records())
        assert tracker.close() is None
        trials = runs(store, "trial")
        states = [(trials[number].info.status, trials[number].data.tags["unblur.state"]) for number in range(4)]
        assert states[:2] == [("FINISHED", "complete"), ("FINISHED", "pruned")]
        assert states[2:] == [("FAILED", "failed"), ("KILLED", "interrupted")]
        assert trials[3].data.tags["unblur.reason"] == "interrupted: its driver died"
        assert all(history(store, trials[number]) == [(5, 0.05), (10, 0.1), (15, 0.15)] for number in (0, 1, 3))
        assert trials[2].data.tags["unblur.reason"] == "out of memory" and trials[2].data.params["lr"] == "0.001"


def test_reconcile_of_an_agreeing_study_writes_nothing(store: Store, open_tracker: OpenTracker) -> None:
    first = open_tracker(store)
    first.reconcile(records())
    first.close()
    second = open_tracker(store)
    second.reconcile(records())
    assert not second._delivery._pending


def test_a_thousand_trials_are_found_again(store: Store, open_tracker: OpenTracker, monkeypatch: Any) -> None:
    monkeypatch.setattr("unblur.tracking.writer.PAGE", 7)  # the pages are what can go wrong, not their size
    first = open_tracker(store)
    for number in range(30):
        first.start("trial", number, {})
    first.close()
    second = open_tracker(store)
    for number in range(30):
        second.start("trial", number, {})
    assert second.close() is None
    assert sorted(runs(store, "trial")) == list(range(30))


def test_a_result_told_twice_is_there_once(store: Store, open_tracker: OpenTracker) -> None:
    for _ in range(2):
        tracker = open_tracker(store)
        tracker.finish({}, {"test/ndcg_at_10": [0.1, 0.2]})
        tracker.close()
    parent = runs(store, "study")[0]
    assert history(store, parent, "test/ndcg_at_10") == [(0, pytest.approx(0.15))]
    assert parent.info.status == "FINISHED"


def test_what_is_not_finite_is_a_tag_and_not_a_point(store: Store, open_tracker: OpenTracker) -> None:
    tracker = open_tracker(store)
    tracker.start("trial", 0, {})
    tracker.log("trial", 0, 5, {"train/loss": math.nan, "train/norm": math.inf, "valid/ndcg_at_10": 0.1})
    tracker.close()
    run = runs(store, "trial")[0]
    assert run.data.metrics == {"valid/ndcg_at_10": 0.1}
    assert run.data.tags["unblur.not_finite"] == "train/loss, train/norm at epoch 5"


def test_a_refused_write_is_named_and_holds_nothing_up(store: Store, open_tracker: OpenTracker) -> None:
    tracker = open_tracker(store)
    tracker.start("trial", 0, {})
    tracker.log("trial", 0, 5, {"ndcg@10": 0.1})  # MLflow takes no @
    tracker.end("trial", 0, State.COMPLETE)
    complaint = tracker.close()
    assert complaint is not None and "refused 1 write" in complaint and "trial 0000" in complaint
    assert runs(store, "trial")[0].info.status == "FINISHED"


def test_a_create_whose_answer_was_lost_is_not_repeated(store: Store, open_tracker: OpenTracker) -> None:
    tracker = open_tracker(store)
    create = store.client.create_run

    def lose_the_answer(*arguments: Any, **options: Any) -> Any:
        store.client.create_run = create
        create(*arguments, **options)
        raise ConnectionResetError

    store.client.create_run = lose_the_answer
    train(tracker, 0, [5])
    assert tracker.close() is None
    assert history(store, runs(store, "trial")[0]) == [(5, 0.05)]


def test_an_error_inside_mlflow_does_not_hold_up_the_rest(
    store: Store, open_tracker: OpenTracker, monkeypatch: Any
) -> None:
    monkeypatch.setattr("unblur.tracking.delivery.delays", lambda: iter([0.001] * 1000))
    tracker = open_tracker(store)
    monkeypatch.setattr(tracker._writer, "params", lambda *_, **__: 1 / 0)
    train(tracker, 0, [5])
    complaint = tracker.close()
    assert complaint is not None and "division by zero" in complaint
    assert history(store, runs(store, "trial")[0]) == [(5, 0.05)]


def test_values_as_text() -> None:
    import numpy as np

    assert [text(value) for value in ("a", None, np.float64(0.5), np.arange(2), (1, 2))] == [
        "a",
        "null",
        "0.5",
        "[0, 1]",
        "[1, 2]",
    ]
    assert spread({"a": [1.0, 3.0], "b": [2.0], "c": []}) == {"a": 2.0, "a_std": math.sqrt(2), "b": 2.0}
    assert Run("trial", 7).name == "trial 0007"


def test_a_server_that_goes_away_gets_everything_afterwards_in_order_once(
    server: Any, open_tracker: OpenTracker
) -> None:
    from unblur.tracking.client import connect

    store = connect(server.uri)
    tracker = open_tracker(store)
    train(tracker, 0, [5, 10])
    assert tracker.flush(20)
    server.stop()
    begin = time.monotonic()
    for epoch in (15, 20, 25):
        tracker.log("trial", 0, epoch, {"valid/ndcg_at_10": epoch / 100})
    tracker.end("trial", 0, State.COMPLETE)
    train(tracker, 1, [5, 10])
    assert time.monotonic() - begin < 0.5  # the driver waits for nobody
    assert not tracker.flush(1)
    server.start()
    assert tracker.flush(20)
    tracker.finish({}, {"test/ndcg_at_10": [0.1]})
    assert tracker.close() is None

    trials = runs(store, "trial")
    assert history(store, trials[0]) == [(epoch, epoch / 100) for epoch in (5, 10, 15, 20, 25)]
    assert history(store, trials[1]) == [(5, 0.05), (10, 0.1)]
    assert trials[0].info.status == "FINISHED" and trials[1].info.status == "RUNNING"
    assert runs(store, "study")[0].info.status == "FINISHED"
