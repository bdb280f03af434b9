"""A driver to be killed: python toy_driver.py FOLDER TRIALS EPOCH_SECONDS. Prints what its listener hears;
FOLDER/trial holds the process and the number of the running trial."""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import ray

from tests.helpers.toy_study import identity, trials
from tests.helpers.toy_values import params, value
from unblur.running.reports import report
from unblur.running.run import run_tasks
from unblur.running.work import Listener
from unblur.search.lock import driving
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.record import State
from unblur.training.report import Progress

folder, seconds = Path(sys.argv[1]), float(sys.argv[3])


def trial(config: dict[str, Any]) -> None:
    (folder / "trial").write_text(f"{os.getpid()} {config['number']}")
    for epoch in range(1, 10):
        time.sleep(seconds)
        report(Progress(epoch, {"ndcg_at_10": value(params(config), epoch)}))


class Shout(Listener):
    def started(self, number: int, params: dict[str, Any]) -> None:
        print("started", number, flush=True)

    def ended(self, number: int, state: State, reason: str | None) -> None:
        print("ended", number, flush=True)


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    url = local_url(folder)
    study = Study.open(identity(), url)
    with driving(url, study.name):
        ray.init(
            address="local",
            include_dashboard=False,
            num_cpus=1,
            object_store_memory=100 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            run_tasks(trial, trials(study, int(sys.argv[2])), slots=1, resources={"CPU": 1}, listeners=[Shout()])
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the jobs do
            print("interrupted", flush=True)
            sys.exit(130)
