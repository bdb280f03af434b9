"""Trials that the kernel kills because their memory is at an end."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.faults import Fault
from tests.helpers.toy_study import identity, trials

from unblur.running.reports import report
from unblur.running.retries import AGAIN
from unblur.running.run import run_tasks
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.report import Finished, Progress

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LIMIT, STEP = 64 << 20, 8 << 20
VERSIONS = [
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),
]
"""Where a control group of version 1 or 2 is made, its limit, and the file that counts the kernel's kills."""


class Group:
    """A control group whose processes may take 64 MiB more than they had when they entered."""

    def __init__(self) -> None:
        for root, limit, events in VERSIONS:
            self.folder, self.events = root / f"unblur-{os.getpid()}", events
            with suppress(OSError):
                self.folder.mkdir()
                (self.folder / limit).write_text(str(LIMIT))
                return
            with suppress(OSError):
                self.folder.rmdir()
        pytest.skip("making a control group with a limit on memory needs root")

    def kills(self) -> int:
        found = re.search(r"^oom_kill (\d+)", (self.folder / self.events).read_text(), flags=re.M)
        assert found
        return int(found[1])

    def remove(self) -> None:
        for _ in range(100):  # the kernel lets go of a group when its last process is gone altogether
            with suppress(OSError):
                self.folder.rmdir()
            if not self.folder.exists():
                return
            time.sleep(0.1)


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group()
    yield group
    group.remove()


def test_the_kernels_out_of_memory_killer(
    fault: Callable[[str], Fault], group: Group, tmp_path: Path, local_ray: None
) -> None:
    entrance, attempts = str(group.folder / "cgroup.procs"), str(tmp_path)

    def greedy(config: dict[str, Any]) -> None:
        tries = Path(attempts, str(config["number"]))
        tries.write_text((tries.read_text() if tries.exists() else "") + ".")
        report(Progress(1, {"ndcg_at_10": 0.1}))
        # trial 1 shared the machine with something large once, trial 2 is too large itself
        if len(tries.read_text()) <= {1: 1, 2: 99}.get(config["number"], 0):
            Path(entrance).write_text(str(os.getpid()))
            taken = []
            while sum(map(len, taken)) < 16 * LIMIT:
                taken.append(bytearray(os.urandom(1) * STEP))
        report(Progress(2, {"ndcg_at_10": 0.2}))
        report(Finished())

    death, study = fault("kill of a trial by the kernel, out of memory"), Study.open(identity(), local_url(tmp_path))
    run_tasks(greedy, trials(study, 4), slots=1, resources={"CPU": 1})
    death.times = group.kills()
    assert death.times == 1 + 1 + AGAIN["process"], "one of trial 1, and each attempt of trial 2"
    records = study.records()
    assert [record.state for record in records] == ["complete", "complete", "failed", "complete"]
    assert "OOM killer" in str(records[2].reason).partition("\n")[0]
    death.judge([record.number for record in records], 4)
