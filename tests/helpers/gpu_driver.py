"""Searches and trainings on a Ray with a GPU that is none: python gpu_driver.py, in an empty folder.

Prints what each tells, under a heading. What the task on the GPU's node answers is made up, but for the last.
"""

from pathlib import Path
from typing import Any

import ray
from ray.util import placement_group_table

from unblur import cli
from unblur.data.request import DataRequest
from unblur.experiments.options import SearchOptions, TrainOptions
from unblur.experiments.train import train
from unblur.experiments.tune import tune
from unblur.running import gpus
from unblur.running.cluster import WORKERS_ENVIRONMENT

SPACE = """
model: cfg_diffrec
parameters: {lr: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}}
fixed: {dims: [16], T: 2}
"""
SHARED: dict[str, Any] = {"data": DataRequest(dataset="sample"), "epochs": 2, "eval_every": 1, "seeds": 1}
SMALL = SHARED | {"search_space": Path("space.yaml"), "trainer": "local", "trials": 2}


def reserved() -> set[float]:
    """What part of a GPU the placement groups took that there have been."""
    bundles = [bundle for group in placement_group_table().values() for bundle in group["bundles"].values()]
    return {bundle.get("GPU", 0.0) for bundle in bundles}


def dry(**options: Any) -> None:
    tune(SearchOptions(**SMALL | options, dry_run=True), cli.console())


def main() -> None:
    Path("space.yaml").write_text(SPACE)
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,
        object_store_memory=100 << 20,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env=WORKERS_ENVIRONMENT,
    )
    found, gpus._total_memory = gpus._total_memory, lambda: 8 << 30
    print("== search")
    tune(SearchOptions(**SMALL), cli.console())
    print(f"reserved: {reserved()}")
    print("== models")
    dry(model="ease,cfg_diffrec", search_space=None)
    print("== train")
    train(TrainOptions(**SHARED, set=["dims=[16]"], dry_run=True), cli.console())
    print(f"asked {gpus._asked.cache_info().misses} time(s)")
    print("== number")
    dry(gpus_per_worker=0.25)
    print("== unknown")
    gpus._total_memory = found
    gpus._asked.cache_clear()
    dry()
    ray.shutdown()


if __name__ == "__main__":
    main()
