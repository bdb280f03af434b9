"""What was told while MLflow was away, by a driver that died, is there after the next start: all of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.toy_study import identity

from unblur import records
from unblur.experiments.kept_reports import _of, in_folder
from unblur.experiments.recording import Recorder, as_record
from unblur.running.resources import Resources
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.tracking.client import Store
from unblur.tracking.tracker import Tracker
from unblur.training.record import State
from unblur.training.report import Progress

OpenTracker = Callable[..., Tracker]


def progress(epoch: int) -> Progress:
    metrics = {"ndcg_at_10": epoch / 10, "recall_at_10": epoch / 20}
    facts = {"loss": 1 / epoch, "seconds": 2.0 * epoch, "parameters": 7.0}
    return Progress(epoch, metrics, epoch / 10, {"guidance_scale": float(epoch)}, facts)


def drive(study: Study, tracker: Tracker, folder: Path, finish: int, epochs: tuple[int, ...]) -> None:
    """Trials in turn, of which so many are finished, and one is in the middle of its work."""
    record = Recorder(tracker, "trial", "ndcg_at_10", Resources(), in_folder(str(folder), "trial"))
    for _ in range(finish + 1):
        number, params = study.ask()
        record.started(number, params)
        for epoch in epochs:
            study.report(number, epoch, epoch / 10)
            record.progressed(number, progress(epoch))
        if number < finish:
            study.complete(number)
            record.ended(number, State.COMPLETE, None)


def test_all_that_was_told_is_there_after_the_next_start(
    store: Store, open_tracker: OpenTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    with monkeypatch.context() as patch:
        tracker = open_tracker(store)
        for write in ("create_run", "log_batch", "set_terminated", "update_run"):
            patch.setattr(store.client, write, lambda *_, **__: (_ for _ in ()).throw(ConnectionRefusedError("away")))
        tracker.start("trial", 0, {})
        while not tracker.away:
            time.sleep(0.01)
        drive(study, tracker, tmp_path / "reports", 1, (1, 2, 3))
        tracker.close(timeout=0)  # killed: nothing more is delivered

    again, kept = open_tracker(store), in_folder(str(tmp_path / "reports"), "trial")
    resumed = Study.open(identity(), local_url(tmp_path))
    again.reconcile(as_record(each, "ndcg_at_10", kept.of(each.number, each.params)) for each in resumed.records())
    assert again.close() is None
    finished, interrupted = (run_of(store, number) for number in (0, 1))
    for run in (finished, interrupted):
        metrics = run.data.metrics
        assert metrics["train/loss"] == pytest.approx(1 / 3) and metrics["train/seconds"] == 6.0
        assert metrics["valid/recall_at_10"] == 0.15 and metrics["inference/guidance_scale"] == 3.0
        assert run.data.tags["unblur.inference"] == '{"guidance_scale": 3.0}' and run.data.params["y"] == "3"
        for name in ("valid/ndcg_at_10", "train/loss"):
            history = store.client.get_metric_history(run.info.run_id, name)
            assert sorted(point.step for point in history) == [1, 2, 3]
    assert (finished.info.status, interrupted.info.status) == ("FINISHED", "KILLED")


def test_reports_are_those_of_these_parameters_and_whole(tmp_path: Path) -> None:
    kept = in_folder(str(tmp_path), "trial")
    kept.begin(0, {"x": 1.0}, {"v": "1"})
    kept.add(0, 5, {"valid/a": 0.5}, {}, at_once=True)
    begun = kept.of(0, {"x": 1.0})
    kept = in_folder(str(tmp_path), "trial")  # another start, from the checkpoint of epoch 4
    kept.begin(0, {"x": 1.0}, {"v": "1"})
    kept.add(0, 5, {"train/loss": 0.25}, {})
    kept.add(0, 6, {"train/loss": 0.2}, {})
    kept.end(0, {"tag": "t"})
    found = kept.of(0, {"x": 1.0})
    assert begun is not None and begun.ended is None and found is not None and found.ended is not None
    assert found.begun == begun.begun <= found.ended
    assert found.metrics == {5: {"valid/a": 0.5, "train/loss": 0.25}, 6: {"train/loss": 0.2}} and found.tags == {
        "v": "1",
        "tag": "t",
    }
    assert kept.of(0, {"x": 2.0}) is None, "another trial was given its number"
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace("0.25", "0.26"))
    assert kept.of(0, {"x": 1.0}) is None
    records.write(str(file), {"begun": "of another kind"}, _of({"x": 1.0}))
    assert kept.of(0, {"x": 1.0}) is None


def test_a_full_disk_costs_the_copy_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    kept = in_folder(str(tmp_path), "trial")
    kept.begin(0, {}, {})
    with monkeypatch.context() as patch:
        patch.setattr(records, "write", full)
        kept.add(0, 1, {"valid/a": 0.5}, {}, at_once=True)
    assert "No space left on device" in caplog.text
    kept.end(0, {})
    assert kept.of(0, {}) is not None, "there is room again"


def run_of(store: Store, number: int) -> Any:
    ids = [each.experiment_id for each in store.client.search_experiments()]
    (run,) = store.client.search_runs(ids, f"tags.`unblur.kind` = 'trial' and tags.`unblur.number` = '{number}'")
    return run
