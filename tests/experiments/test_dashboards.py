"""`unblur dashboard`: real servers on what there is, links that answer, and nothing left when it is told to end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import optuna
import pytest
from tests.helpers.jobs import environment
from tests.helpers.mlflow_store import empty_store

from unblur.errors import RunFailed, UserError
from unblur.experiments.context import SILENT
from unblur.experiments.dashboards import dashboard
from unblur.experiments.options import DashboardOptions
from unblur.processes import free_port, server
from unblur.search.storage import local_url, open_storage
from unblur.tracking.views import of_experiment, save, saved


def test_a_look_makes_no_database(tmp_path: Path) -> None:
    asked = DashboardOptions(storage=str(tmp_path / "runs"), tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match="there is no MLflow database"):
        dashboard(asked, SILENT)
    assert not list(tmp_path.iterdir())


def test_the_saved_views_are_found_with_their_places(tmp_path: Path) -> None:
    store = empty_store(tmp_path)
    experiment, other = store.experiment("plays/clean"), store.experiment("bare")
    store.client.set_experiment_tag(other, "mlflow.sharedViewState.theirs", "{}")
    views = of_experiment("ndcg_at_10")
    save(store, experiment, views)
    assert sorted(saved(store)) == sorted(
        ("plays/clean", view.name, view.path(experiment).removesuffix("&compareRunsMode=CHART")) for view in views
    )


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    with (
        pytest.raises(RunFailed, match="toy did not come up: no such thing"),
        server("toy", words, 1, tmp_path / "log"),
    ):
        pass


def test_a_server_ends_with_its_block_also_when_it_is_deaf(tmp_path: Path) -> None:
    port = free_port()
    deaf = "import runpy, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    serving = "runpy.run_module('http.server', run_name='__main__', alter_sys=True)"
    words = [sys.executable, "-c", deaf + serving, "--bind", "127.0.0.1", str(port)]
    with server("toy", words, port, tmp_path / "log", grace=0.2, patience=60) as process:
        assert urlopen(f"http://127.0.0.1:{port}/").status == 200
    assert process.returncode == -signal.SIGKILL


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with what it has printed until it waits."""
    # whoever starts the tests in the background has it ignored, which is inherited
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    words = [sys.executable, "-c", f"{hears}from unblur.cli import main; main()", "dashboard", *flags]
    surroundings = {**environment(), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(words, cwd=folder, env=surroundings, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        told = ""
        for line in process.stdout:
            told += line
            if line.startswith("Ctrl-C"):
                break
        yield process, told
    finally:
        process.terminate()  # killed, it could not end its servers
        process.wait(60)


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split()
    own = [int(child) for child, parent in zip(listed[::2], listed[1::2], strict=True) if int(parent) == pid]
    return own + [further for child in own for further in children(child)]


def there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_both_dashboards_answer_and_end_with_the_command(end: signal.Signals, tmp_path: Path) -> None:
    store, runs = empty_store(tmp_path), tmp_path / "unblur-runs"
    save(store, store.experiment("plays/clean"), of_experiment("ndcg_at_10"))
    with open_storage(local_url(runs)) as storage:
        optuna.create_study(storage=storage, study_name="plays of ease")
    with running(tmp_path) as (process, told):
        mlflow, studies = (re.search(rf"^{name}: (http://127.0.0.1:\d+)", told, re.M) for name in ("MLflow", "Optuna"))
        assert mlflow and studies, told
        assert re.search(rf"plays/clean, models by ndcg@10: {mlflow[1]}/#/experiments/1/runs\?viewStateShareKey=", told)
        assert b"<html" in urlopen(mlflow[1], timeout=60).read()
        listed = json.load(urlopen(f"{studies[1]}/api/studies", timeout=60))
        assert [each["study_name"] for each in listed["study_summaries"]] == ["plays of ease"]
        begun = children(process.pid)
        assert len(begun) >= 2
        process.send_signal(end)
        assert process.wait(30) == 0
    time.sleep(0.5)
    assert not [pid for pid in begun if there(pid)]
    for address in (mlflow[1], studies[1]):
        with pytest.raises(URLError):
            urlopen(address, timeout=5)
