"""The search on a real local Ray cluster: same record as without Ray, failures, retries, deaths, interrupts."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.helpers import HELPERS, driver_environment
from tests.helpers.toy_study import identity, run, table, trials
from tests.helpers.toy_values import params, value

from unblur.errors import UserError
from unblur.running.reports import report
from unblur.running.run import run_tasks
from unblur.running.work import Listener
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.record import State
from unblur.training.report import Finished, Progress

CPU = {"CPU": 1}


@pytest.fixture
def study(tmp_path: Path, local_ray: None) -> Study:
    return Study.open(identity(), local_url(tmp_path))


class Ear(Listener):
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def started(self, number: int, params: dict[str, Any]) -> None:
        self.heard.append(("started", number))

    def progressed(self, number: int, progress: Progress) -> None:
        self.heard.append(("progressed", number, progress))

    def ended(self, number: int, state: State, reason: str | None) -> None:
        self.heard.append(("ended", number, state, reason))


def make_quadratic() -> Callable[[dict[str, Any]], None]:
    """A closure: Ray sends it by value, since its processes cannot import this file."""

    def quadratic(config: dict[str, Any]) -> None:
        x = params(config)["x"]
        for epoch in range(1, 10):
            report(Progress(epoch, {"ndcg_at_10": float(1 - (x - 0.3) ** 2 - 1 / epoch)}, facts={"loss": 0.5}))
        report(Finished())

    return quadratic


quadratic = make_quadratic()


def test_one_at_a_time_gives_the_record_of_a_plain_loop(study: Study, tmp_path: Path) -> None:
    whole = Study.open(identity(), local_url(tmp_path / "plain"))
    run(whole, 15)
    ear = Ear()
    run_tasks(quadratic, trials(study, 6), slots=1, resources=CPU, listeners=[ear])
    run_tasks(quadratic, trials(study, 15), slots=1, resources=CPU, listeners=[ear])
    assert table(study) == table(whole)
    ends = [heard for heard in ear.heard if heard[0] == "ended"]
    assert [(n, state) for _, n, state, _ in ends] == [(r.number, r.state) for r in whole.records()]
    first = [heard for heard in ear.heard if heard[1] == 0]
    results = [
        ("progressed", 0, Progress(e, {"ndcg_at_10": value({"x": 0.5}, e)}, facts={"loss": 0.5})) for e in range(1, 10)
    ]
    assert first == [("started", 0), *results, ("ended", 0, "complete", None)]


def make_where() -> Callable[[dict[str, Any]], None]:
    def where(config: dict[str, Any]) -> None:
        for epoch in range(1, 5):
            report(Progress(epoch, {"ndcg_at_10": -config["number"]}, facts={"process": os.getpid()}))

    return where


def processes(ear: Ear) -> set[int]:
    return {heard[2].facts["process"] for heard in ear.heard if heard[0] == "progressed"}


def test_two_at_a_time_reuse_their_processes(study: Study) -> None:
    ear = Ear()
    run_tasks(make_where(), trials(study, 30), slots=2, resources=CPU, listeners=[ear])
    assert sum(study.counts().values()) == 30 and study.counts()["pruned"] > 10
    assert len(processes(ear)) <= 4


def test_the_next_list_has_the_process_of_the_one_before_unless_it_died(study: Study) -> None:
    first, second, third = Ear(), Ear(), Ear()
    run_tasks(make_where(), trials(study, 2), slots=1, resources=CPU, listeners=[first])
    run_tasks(make_where(), trials(study, 4), slots=1, resources=CPU, listeners=[second])
    [process] = processes(second)
    assert processes(first) == {process}, "with another function, and within the block of the tests' cluster"
    os.kill(process, signal.SIGKILL)
    wait_for_the_end(process)
    run_tasks(make_where(), trials(study, 6), slots=1, resources=CPU, listeners=[third])
    assert sum(study.counts().values()) == 6 and processes(third) and process not in processes(third)
    assert study.counts()["failed"] == 0


def test_a_finished_search_needs_no_ray(tmp_path: Path) -> None:
    study = Study.open(identity(), local_url(tmp_path))
    run(study, 3)
    run_tasks(quadratic, trials(study, 3), slots=1, resources=CPU)
    run_tasks(quadratic, trials(study, 2), slots=1, resources=CPU)
    assert len(study.records()) == 3


def test_what_fails_is_tried_again_and_recorded_with_its_reason_and_the_search_goes_on(
    study: Study, tmp_path: Path
) -> None:
    folder = str(tmp_path)
    raises, dies = {2: 99, 5: 1}, {6: 1, 7: 99}

    def fragile(config: dict[str, Any]) -> None:
        number = config["number"]
        with (Path(folder) / f"attempts-{number}").open("a") as file:
            file.write(".")
            attempts = file.tell()
        report(Progress(1, {"ndcg_at_10": 0.1}))
        if attempts <= dies.get(number, 0):
            os._exit(1)
        if attempts <= raises.get(number, 0):
            raise RuntimeError("boom")
        match number:
            case 0:
                report(Progress(2, {"ndcg_at_10": float("nan")}))
            case 1:
                report(Finished("out of memory: batch of 400"))
            case 3:
                return
            case 4:
                report(Finished(diverged="the loss became nan in epoch 2"))
                return
        report(Progress(2, {"ndcg_at_10": 0.2}))
        report(Finished())

    ear = Ear()
    run_tasks(fragile, trials(study, 9), slots=1, resources=CPU, listeners=[ear])
    records = study.records()
    failed = [r.number for r in records if r.state == "failed"]
    assert failed == [0, 1, 2, 7] and {r.state for r in records if r.number not in failed} == {"complete"}
    assert records[0].reason == "ndcg_at_10 became nan at epoch 2" and records[0].values == {1: 0.1}
    assert records[1].reason == "out of memory: batch of 400"
    first, _, rest = str(records[2].reason).partition("\n")
    assert first == "RuntimeError: boom" and "in fragile" in rest, "the traceback is kept"
    assert "actor is dead" in str(records[7].reason).partition("\n")[0]
    assert [r.value for r in records if r.state == "complete"] == [0.1, 0.1, 0.2, 0.2, 0.2]
    told = {h[1]: h[3] for h in ear.heard if h[0] == "ended"}
    assert told == {**{r.number: r.reason for r in records}, 4: "the loss became nan in epoch 2"}
    attempts = [len((tmp_path / f"attempts-{number}").read_text()) for number in range(9)]
    assert attempts == [1, 1, 2, 1, 1, 2, 2, 3, 1], "code at most once more, a process twice"
    assert [h[1] for h in ear.heard if h[0] == "started"] == list(range(9)), "once, however often it is begun again"


def test_trials_that_hang_are_failed_and_their_processes_killed(study: Study, tmp_path: Path) -> None:
    folder = str(tmp_path)

    def hanging(config: dict[str, Any]) -> None:
        report(Progress(1, {"ndcg_at_10": 0.1}))
        if config["number"] in (1, 2):
            (Path(folder) / f"pid-{config['number']}").write_text(str(os.getpid()))
            if config["number"] == 2:  # then not even Python runs in it
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(10_000)

    run_tasks(hanging, trials(study, 4), slots=1, resources=CPU, timeout=5)
    records = study.records()
    assert [r.state for r in records] == ["complete", "failed", "failed", "complete"]
    for number in (1, 2):
        assert records[number].reason == "no report for 5 s (--trial-timeout)"
        wait_for_the_end(int((tmp_path / f"pid-{number}").read_text()))


def wait_for_the_end(process: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, f"process {process} lives"
        time.sleep(0.1)


def test_a_stopped_trial_may_clean_up(study: Study) -> None:
    def tidy(config: dict[str, Any]) -> None:
        try:
            for epoch in range(1, 10):
                report(Progress(epoch, {"ndcg_at_10": -float(config["number"])}))
        finally:
            time.sleep(3)  # longer than the 2 s that Tune grants by itself

    run_tasks(tidy, trials(study, 4), slots=1, resources=CPU)
    assert [r.state for r in study.records()] == ["complete", "complete", "pruned", "pruned"]


def test_a_trial_that_only_drives_others_is_stopped_with_its_process(study: Study) -> None:
    def driver(config: dict[str, Any]) -> None:
        def reports() -> None:
            for epoch in range(1, 5):
                report(Progress(epoch, {"ndcg_at_10": -float(config["number"])}))

        thread = threading.Thread(target=reports, daemon=True)  # as Ray Train does, beside a function that waits
        thread.start()
        thread.join()
        while config["number"] >= 2:  # beaten, and busy elsewhere
            time.sleep(0.1)

    run_tasks(driver, trials(study, 4), slots=1, resources={"CPU": 0})
    assert [r.state for r in study.records()] == ["complete", "complete", "pruned", "pruned"]


def test_time_budget_leaves_trials_to_go_on_with(study: Study) -> None:
    def endless(config: dict[str, Any]) -> None:
        for epoch in range(1, 100_000):
            report(Progress(epoch, {"ndcg_at_10": 0.1}))
            time.sleep(0.3)

    run_tasks(endless, trials(study, 50), slots=1, resources=CPU, time_budget=8)
    assert study.counts()["complete"] == 0 and len(study.records()) <= 1
    run_tasks(quadratic, trials(study, 1), slots=1, resources=CPU)
    assert [record.state for record in study.records()] == ["complete"]


def test_what_goes_wrong_in_the_driver_ends_the_search(study: Study) -> None:
    class Broken(Ear):
        def progressed(self, number: int, progress: Progress) -> None:
            raise UserError("the tracking server is gone")

    with pytest.raises(UserError, match="tracking server is gone"):
        run_tasks(quadratic, trials(study, 5), slots=1, resources=CPU, listeners=[Broken()])
    assert study.counts() == {"complete": 0, "pruned": 0, "failed": 0, "running": 1}


def test_ctrl_c_leaves_the_running_trial_interrupted(study: Study) -> None:
    def endless(config: dict[str, Any]) -> None:
        for epoch in range(1, 10_000):
            time.sleep(0.1)
            report(Progress(epoch, {"ndcg_at_10": 0.1}))

    class Impatient(Ear):
        def progressed(self, number: int, progress: Progress) -> None:
            if progress.epoch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(endless, trials(study, 5), slots=1, resources=CPU, listeners=[Impatient()])
    assert study.counts()["running"] == 1 and signal.getsignal(signal.SIGINT) is before
    run_tasks(quadratic, trials(study, 1), slots=1, resources=CPU)
    assert [r.state for r in study.records()] == ["complete"]


def start_driver(folder: Path, trials: int, epoch_seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HELPERS / "toy_driver.py"), str(folder), str(trials), str(epoch_seconds)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=driver_environment()
    )


def until(driver: subprocess.Popen[str], line: str) -> None:
    assert driver.stdout is not None and driver.stderr is not None
    for heard in driver.stdout:
        if heard.strip() == line:
            return
    raise AssertionError(driver.stderr.read())


@pytest.mark.slow
def test_kill_9_of_the_driver_and_the_same_command_again(tmp_path: Path) -> None:
    whole = Study.open(identity(), local_url(tmp_path / "plain"))
    run(whole, 7)
    killed = start_driver(tmp_path, 7, 1)
    until(killed, "started 3")
    killed.kill()
    killed.wait(30)
    again = start_driver(tmp_path, 7, 0.02)
    output, errors = again.communicate(timeout=600)
    assert again.returncode == 0, errors
    ended = [int(line.split()[1]) for line in output.splitlines() if line.startswith("ended")]
    assert 3 <= ended[0] <= 6 and ended == list(range(ended[0], 7)), "none that was finished before the kill"
    assert table(Study.open(identity(), local_url(tmp_path))) == table(whole)


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    driver = start_driver(tmp_path, 7, 10_000)
    until(driver, "started 0")
    while not (tmp_path / "trial").exists():  # in its first epoch
        assert driver.poll() is None
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    time.sleep(0.5)
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=600)
    assert driver.returncode == 130 and "interrupted" in output
