"""What a search leans on goes away for a while: the MLflow server, PostgreSQL, the disk, a checkpoint."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import optuna
import pytest
from tests.helpers.faults import Fault
from tests.helpers.jobs import Run, command, environment, recorded
from tests.helpers.mlflow_server import Server as MLflow
from tests.helpers.synthetic import communities
from tests.helpers.toy_study import identity, table, trials
from tests.helpers.toy_study import run as run_plainly
from tests.search.test_postgres import BINARIES, Server, server
from tests.training.test_loop import PARAMS, Told

from unblur import models
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training import loop
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import Outcome, TrainingSchedule, fit
from unblur.training.report import Progress

__all__ = ["server"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PLAN = ["--epochs", 200, "--patience", 200, "--eval-every", 20, "--seeds", 1, "--trainer", "local"]
TRIALS = 5


def test_mlflow_away_and_back(
    fault: Callable[[str], Fault], tmp_path: Path, data_flags: list[str], space: Path
) -> None:
    away, tracking = fault("MLflow server away for 20 s and back"), MLflow(tmp_path)
    tracking.start()
    flags = command("tune", *data_flags, "--search-space", space, *PLAN, "--trials", TRIALS)
    try:
        with subprocess.Popen(
            [*flags, "--tracking-uri", tracking.uri], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
        ) as job:
            assert job.stdout is not None
            for line in job.stdout:
                if "trial 1: started" in line:
                    tracking.stop()
                    away.inject()
                    threading.Timer(20, tracking.start).start()
        assert job.returncode == 0
        mlflow.set_tracking_uri(tracking.uri)
        runs = mlflow.search_runs(
            search_all_experiments=True, filter_string="tags.`unblur.kind` = 'trial'", output_format="list"
        )
        away.judge([int(one.data.tags["unblur.number"]) for one in runs], TRIALS)
        trials = {trial.number: trial for trial in recorded(tmp_path)}
        for one in runs:
            history = mlflow.MlflowClient().get_metric_history(one.info.run_id, "valid/ndcg_at_10")
            told = trials[int(one.data.tags["unblur.number"])].intermediate_values
            assert [(metric.step, pytest.approx(metric.value)) for metric in history] == sorted(told.items())
    finally:
        tracking.stop()


@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server under /usr/lib/postgresql")
def test_postgres_restarted(fault: Callable[[str], Fault], server: Server, tmp_path: Path) -> None:
    restart, whole = fault("PostgreSQL restarted"), Study.open(identity(seed=3), local_url(tmp_path))
    run_plainly(whole, 40)
    study = Study.open(identity(seed=3), server.url())

    def again() -> None:
        for _ in range(2):
            server.stop()
            time.sleep(1)
            server.start()
            restart.inject()

    timer = threading.Timer(0.3, again)
    timer.start()
    run_plainly(study, 40)
    timer.join()
    restart.judge([record.number for record in study.records()], 40)
    assert table(study) == table(whole)


SPLIT = communities()


def train(folder: Path | None, die: int = 0) -> Outcome:
    config = models.configure("cfg_diffrec", PARAMS, "test")
    model = models.model_class("cfg_diffrec")(config, SPLIT.n_users, SPLIT.n_items, seed=3)
    checkpoints = Checkpoints(str(folder)) if folder else None
    return fit(model, SPLIT, TrainingSchedule(epochs=12, eval_every=2), Told(die=die), checkpoints)


@pytest.mark.parametrize("damage", ["truncated", "bit-flipped"])
def test_a_damaged_checkpoint(
    fault: Callable[[str], Fault], damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    hit = fault(f"checkpoint {damage}")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, die=8)
    newest = max(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data if damage == "bit-flipped" else data[: len(data) // 2])
    hit.inject()
    assert train(tmp_path) == train(None)
    hit.judge([0], 1)


def test_a_full_disk(fault: Callable[[str], Fault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    (disk := tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    full = fault("disk full while a checkpoint is written")
    try:
        outcome = train(disk / "checkpoints")
        full.times = 0 if any(disk.rglob("*.safetensors")) else 6
    finally:
        subprocess.run(["umount", disk], check=True)
    assert outcome == train(None)
    full.judge([0], 1)


BAD = """
model: cfg_diffrec
parameters:
  lr: {{type: choice, values: [{lr}]}}
  dims: {{type: choice, values: [{dims}]}}
fixed: {{batch_size: 50, T: 2}}
enqueue: [{{lr: {bad_lr}, dims: {bad_dims}}}, {{lr: 0.01, dims: [16]}}]
"""


@pytest.mark.parametrize(
    ("name", "lr", "dims", "says"),
    [
        ("NaN", "1.0e+30", "[16]", "(the loss became|finite)"),
        ("out of memory", "0.01", "[1000000000000]", "out of memory"),
    ],
)
def test_a_trial_that_cannot_be_trained(
    fault: Callable[[str], Fault],
    name: str,
    lr: str,
    dims: str,
    says: str,
    tmp_path: Path,
    run: Run,
    data_flags: list[str],
) -> None:
    bad = fault(f"a trial's {name}" if name == "NaN" else f"a trial {name}")
    choices = {"lr": ", ".join(sorted({lr, "0.01"})), "dims": ", ".join(sorted({dims, "[16]"}))}
    (tmp_path / "bad.yaml").write_text(BAD.format(**choices, bad_lr=lr, bad_dims=dims))
    flags = ["--search-space", tmp_path / "bad.yaml", *PLAN, "--trials", 3, "--summary", "s.json"]
    done = run(tmp_path, "tune", *data_flags, *flags, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = recorded(tmp_path)
    failed = [trial for trial in trials if trial.state == optuna.trial.TrialState.FAIL]
    bad.times = len(failed)
    assert failed[0].number == 0 and all(re.search(says, trial.user_attrs["reason"]) for trial in failed)
    assert json.loads((tmp_path / "s.json").read_text())["trials"]["failed"] == len(failed)
    bad.judge([trial.number for trial in trials], 3)


def test_a_trial_that_hangs(fault: Callable[[str], Fault], tmp_path: Path, local_ray: None) -> None:
    from unblur.running.reports import report
    from unblur.running.run import run_tasks

    def hanging(config: dict[str, object]) -> None:
        report(Progress(1, {"ndcg_at_10": 0.1}))
        if config["number"] in (1, 2):
            time.sleep(10_000)

    hang, study = fault("a trial that hangs"), Study.open(identity(), local_url(tmp_path))
    run_tasks(hanging, trials(study, 4), slots=1, resources={"CPU": 1}, timeout=30)
    assert [record.state for record in study.records()] == ["complete", "failed", "failed", "complete"]
    hang.times = 2
    hang.judge([record.number for record in study.records()], 4)
