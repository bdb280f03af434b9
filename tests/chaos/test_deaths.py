"""Drivers and trials that are killed: the final table is that of an undisturbed search."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.helpers.faults import Fault
from tests.helpers.toy_study import identity, run, table
from tests.running.test_run import start_driver, until

from unblur.search.storage import local_url
from unblur.search.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS_OF_ONE = 1
"""A trial survives two deaths of its process. The trial that is named may have ended when its process, which others
reuse, is killed; so one that is named once dies twice at most."""


def undisturbed(folder: Path, trials: int) -> Study:
    study = Study.open(identity(), local_url(folder / "undisturbed"))
    run(study, trials)
    return study


def the_same(folder: Path, trials: int, *faults: Fault) -> None:
    found, whole = Study.open(identity(), local_url(folder)), undisturbed(folder, trials)
    for fault in faults:
        fault.judge([record.number for record in found.records()], trials)
    assert table(found) == table(whole) and found.best() is not None


def running(folder: Path) -> tuple[int, int] | None:
    """Process and number of the running trial."""
    with suppress(OSError, ValueError):
        process, number = map(int, (folder / "trial").read_text().split())
        if "ray::" in Path(f"/proc/{process}/cmdline").read_text():
            return process, number
    return None


def test_kill_9_of_the_driver(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    death = fault("kill -9 of the driver")
    for line in ("started 2", "ended 3"):
        driver = start_driver(tmp_path, 7, 0.2)
        until(driver, line)
        driver.kill()
        driver.wait()
        death.inject()
    last = start_driver(tmp_path, 7, 0.02)
    assert last.wait() == 0
    the_same(tmp_path, 7, death)


def test_ctrl_c_twice(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    twice = fault("Ctrl-C twice")
    driver = start_driver(tmp_path, 5, 0.5)
    until(driver, "started 1")
    for _ in range(2):
        driver.send_signal(signal.SIGINT)
        time.sleep(0.5)
    assert driver.wait() == 130
    twice.inject()
    assert start_driver(tmp_path, 5, 0.02).wait() == 0
    the_same(tmp_path, 5, twice)


def test_kill_9_of_trials(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    death = fault("kill -9 of a trial's process")
    driver = start_driver(tmp_path, 6, 0.3)
    killed: dict[int, int] = {}
    while driver.poll() is None and death.times < 4:
        found = running(tmp_path)
        if found and killed.get(found[1], 0) < KILLS_OF_ONE:
            with suppress(ProcessLookupError):
                os.kill(found[0], signal.SIGKILL)
            killed[found[1]] = killed.get(found[1], 0) + 1
            death.inject()
        time.sleep(1)
    assert driver.wait() == 0
    the_same(tmp_path, 6, death)


LIVES = 100
"""So many drivers are started in a soak at most; a handful suffices on an idle machine."""


def pauses() -> Iterator[float]:
    """Seconds until the driver's next death: 30 to 60, always the same ones."""
    rng = random.Random(0)
    return (rng.uniform(30, 60) for _ in range(LIVES))


@pytest.mark.timeout(3600)
def test_soak(fault: Callable[[str], Fault], tmp_path: Path) -> None:
    trials = 200
    trial_deaths, driver_deaths = (
        fault("soak of 200 trials: kill -9 of trials"),
        fault("the same: kill -9 of the driver"),
    )
    for pause in pauses():
        driver, killed = start_driver(tmp_path, trials, 0.03), dict[int, int]()
        assert driver.stdout is not None
        next((line for line in driver.stdout if line.startswith("started")), None)  # on a busy machine it takes a while
        until_death = time.monotonic() + pause
        while driver.poll() is None and time.monotonic() < until_death:
            time.sleep(3)
            found = running(tmp_path)
            if found and killed.get(found[1], 0) < KILLS_OF_ONE:
                with suppress(ProcessLookupError):
                    os.kill(found[0], signal.SIGKILL)
                    killed[found[1]] = killed.get(found[1], 0) + 1
                    trial_deaths.inject()
        if driver.poll() is not None:
            break
        driver.kill()
        driver.wait()
        driver_deaths.inject()
    else:
        pytest.fail(f"{LIVES} drivers did not make it")
    assert driver.returncode == 0
    the_same(tmp_path, trials, trial_deaths, driver_deaths)
