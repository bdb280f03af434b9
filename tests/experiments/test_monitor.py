"""What Prometheus is told of a run, and what the dashboard and the alerts make of it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.helpers.prometheus import RULES, alerts, binary, panels

from unblur.experiments.monitor import OF, Measure, Monitor
from unblur.running.execution import Execution
from unblur.running.resources import Resources
from unblur.tracking.client import connect
from unblur.tracking.runs import LoggedDataset, Record
from unblur.tracking.tracker import Tracker
from unblur.training.record import State
from unblur.training.report import Progress

STUDY = {"study": "ease-1234", "dataset": "toys", "model": "ease"}
BEST, SECONDS, MEMORY = "valid/best_ndcg_at_10", "train/seconds", "train/memory_mib"


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    """A study that goes on: of an earlier start it has a trial that was finished and one that was interrupted."""
    tracker = Tracker(connect(f"sqlite:///{tmp_path}/mlflow.db"), "toys/clean")
    tracker.open_study("s", "toys", {}, {}, LoggedDataset("toys", "d", {}))
    done = {2: {BEST: 0.2, SECONDS: 30.0}, 4: {BEST: 0.25, SECONDS: 60.0}}
    tracker.reconcile([Record("trial", 0, {}, State.COMPLETE, done), Record("trial", 1, {}, State.RUNNING)])
    return tracker


def monitor(tracker: Tracker, kind: str = "trial", is_one: Callable[[int], bool] = lambda _: True) -> Monitor:
    execution = Execution(Resources(workers=2, cpus=3, gpus=0.25), memory=7_000)
    watched = Monitor(tracker, STUDY, kind, "ndcg_at_10", 5, execution, is_one)  # type: ignore[arg-type]
    watched.clock = lambda: 100.0
    watched._heard = 90.0
    return watched


def told(watched: Monitor) -> dict[str, float]:
    """The readings by measure, with the label that it has beside those of all."""
    return {" ".join([each.measure.name, *each.labels.values()]): each.value for each in watched.readings()}


def test_the_readings_are_those_of_all_starts(tracker: Tracker) -> None:
    watched = monitor(tracker)
    tracker.start("trial", 1, {})
    watched.tracker.log("trial", 0, 5, {"spent/core_hours": 0.5, "spent/gpu_hours": 0.25})
    tracker.log("trial", 1, 10, {BEST: 0.3, SECONDS: 20.0, MEMORY: 3.0, "spent/core_hours": 0.125})
    watched.again(1, "node")
    watched.again(1, "node")
    found = told(watched)
    assert {name: found[f"TASKS {name}"] for name in ("running", "complete", "pruned", "failed", "interrupted")} == {
        **dict.fromkeys(["pruned", "failed", "interrupted"], 0),
        **dict.fromkeys(["running", "complete"], 1),
    }
    assert found["RETRIES node"] == 2 and found["RETRIES code"] == 0 and found["WANTED"] == 5
    assert found["BEST ndcg@10"] == 0.3 and found["TRAINED_SECONDS"] == 80, "60 of an earlier start, and 20"
    assert found["EPOCH_SECONDS"] == 2, "of the running one: 20 s for 10 epochs"
    assert found["MEMORY_BYTES"] == 3 * 2**20 and found["FORECAST_BYTES"] == 7_000
    assert found["CORE_HOURS"] == 0.625 and found["GPU_HOURS"] == 0.25
    assert found["CPUS"] == 6 and found["GPUS"] == 0.5, "of both workers"
    assert found["SILENT_SECONDS"] == 0, "what was begun again was heard of"
    assert watched.labels == {**STUDY, "kind": "trial"} and set(watched.labels) == set(OF)


def test_silence_is_counted_from_the_last_word(tracker: Tracker) -> None:
    watched = monitor(tracker)
    assert told(watched)["SILENT_SECONDS"] == 10
    watched.progressed(1, Progress(3))
    assert told(watched)["SILENT_SECONDS"] == 0


def test_where_nothing_runs_an_epoch_is_that_of_what_has_ended(tracker: Tracker) -> None:
    assert told(monitor(tracker))["EPOCH_SECONDS"] == 15, "60 s for 4 epochs"


def test_other_kinds_and_other_configurations_are_not_counted(tracker: Tracker) -> None:
    for number in (100, 200):
        tracker.start("final", number, {})
        tracker.log("final", number, 1, {SECONDS: 7.0})
    found = told(monitor(tracker, "final", lambda number: number // 100 == 2))
    assert found["TASKS running"] == 1 and found["TRAINED_SECONDS"] == 7 and "BEST ndcg@10" not in found


def test_what_waits_for_mlflow_is_counted_until_it_has_arrived(tracker: Tracker) -> None:
    assert tracker.flush(60) and told(monitor(tracker))["MLFLOW_QUEUE"] == 0
    tracker.close()  # nobody delivers any more
    tracker.log("trial", 1, 11, {SECONDS: 21.0})
    tracker.log("trial", 1, 12, {SECONDS: 22.0})
    assert told(monitor(tracker))["MLFLOW_QUEUE"] == 2


def test_dashboard_and_alerts_ask_for_what_is_told_and_leave_nothing_out() -> None:
    queries = [*(query for each in panels().values() for query in each), *alerts().values()]
    asked = {name for query in queries for name in re.findall(r"\b(?:ray|unblur)_\w+", query)}
    assert asked == {measure.exported for measure in Measure}
    assert not re.search(r"\$", " ".join(queries)), "every variable is one of the dashboard's"


def series(name: str, values: str, **label: str) -> dict[str, str]:
    of = {"study": "s", "kind": "trial", "dataset": "toys", "model": "ease", **label}
    labels = ", ".join(f'{key}="{value}"' for key, value in of.items())
    return {"series": f"{name}{{{labels}}}", "values": values}


QUIET = [
    series("ray_unblur_tasks", "2x60", state="failed"),
    series("ray_unblur_tasks", "8x60", state="complete"),
    series("ray_unblur_silent_seconds", "0+30x60"),
    series("ray_unblur_retries", "0x30 4x30", fault="node"),
    series("ray_unblur_mlflow_queue", "0x56 500x4"),
    series("ray_unblur_memory_bytes", "7x60"),
    series("ray_unblur_forecast_bytes", "7x60"),
]
LOUD = {
    "UnblurTrainingsFail": series("ray_unblur_tasks", "3x60", state="failed"),
    "UnblurSilent": series("ray_unblur_silent_seconds", "0+31x60"),
    "UnblurBegunAgainOften": series("ray_unblur_retries", "0x40 5x20", fault="node"),
    "UnblurMLflowAway": series("ray_unblur_mlflow_queue", "0x54 101x10"),
    "UnblurMemoryAboveForecast": series("ray_unblur_memory_bytes", "8x60"),
}


def case(given: list[dict[str, str]], *firing: str) -> dict[str, object]:
    """An hour of readings, one a minute, and the alerts at its end."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    asked = {"expr": "count by (alertname) (ALERTS) or vector(0)", "eval_time": "60m"}
    whole = {**asked, "exp_samples": [*samples, {"labels": "{}", "value": 0}]}
    return {"interval": "1m", "input_series": given, "promql_expr_test": [whole]}


def beyond(loud: dict[str, str]) -> list[dict[str, str]]:
    """All at their bounds but one."""
    assert loud["series"] in {each["series"] for each in QUIET}
    return [loud if each["series"] == loud["series"] else each for each in QUIET]


def test_every_alert_is_given_beyond_its_bound_and_not_at_it(tmp_path: Path) -> None:
    assert LOUD.keys() == alerts().keys()
    tests = [case(QUIET), *(case(beyond(loud), name) for name, loud in LOUD.items())]
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (file := tmp_path / "tests.yml").write_text(yaml.safe_dump(whole))
    done = subprocess.run([binary("promtool"), "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
