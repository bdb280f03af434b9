"""The last words of a run: its result in a few lines, what to do next, and a summary as JSON."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from unblur.experiments.context import Session
from unblur.experiments.final_evaluation import Result
from unblur.files import write_output
from unblur.redaction import redact
from unblur.search.inference_grid import written
from unblur.tracking.tracker import Tracker
from unblur.training.memory import gigabytes


def conclude(
    session: Session,
    tracker: Tracker,
    name: str,
    result: Result,
    seconds: dict[str, float],
    console: Console,
    **found: Any,
) -> dict[str, Any]:
    """Print the result and where to look at it; returns the summary."""
    options, metric = session.options, session.plan.metric
    test = {key: _statistics(values) for key, values in result.test.items()}
    mine, least = test[metric], result.popularity[metric]
    over = f"over {options.seeds} seeds" if options.seeds > 1 else "with one seed"
    figure = f"{_with_spread(mine)} {over}"
    console.print(
        f"test {options.metric}: {figure} (popularity {least:.4f}), history {options.test_history}",
        markup=False,
        style="bold",
    )
    for seed, settings in enumerate(result.inference):
        console.print(f"seed {seed}: inference with {written(settings)}, by validation", markup=False)
    if result.parameters is not None and result.memory_mib is not None:
        took = gigabytes(result.memory_mib * 2**20)
        console.print(f"{result.parameters:,} parameters, fitted in at most {took} of memory", markup=False)
    if result.efficiency:
        workers = session.resources.workers
        faster = f"{workers * result.efficiency:.1f} times as fast as one (efficiency {result.efficiency:.2f})"
        console.print(f"{workers} workers: {faster}", markup=False)
    if result.model_uri:
        console.print(f"registered {result.model_uri} as candidate", markup=False)
    console.print(f"look at the runs: {_to_look(session.store.address)}", markup=False)
    facts = session.prepared.facts
    sizes = {key: getattr(facts, key) for key in ("users", "items", "train", "valid", "test")}
    return {
        "study": name,
        "dataset": {"name": session.dataset_name, **sizes, "digest": session.prepared.digest},
        "model": options.model,
        "parameters": result.parameters,
        "memory_mib": result.memory_mib,
        "efficiency": result.efficiency,
        **found,
        "inference": result.inference,
        "test": test,
        "popularity": result.popularity,
        "mlflow": {
            "tracking_uri": session.store.address,
            "experiment_id": tracker.experiment_id,
            "parent_run_id": tracker.parent_run_id,
            "model_uri": result.model_uri,
        },
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
    }


def _to_look(address: str) -> str:
    """Where people see the runs: a server's page, or the command that opens a database, with a path that is found."""
    if address.startswith("http"):
        return address
    beside_us = Path(sys.executable).with_name("mlflow")
    program = "mlflow" if which("mlflow") or not beside_us.exists() else os.path.relpath(beside_us)
    return f"{program} ui --backend-store-uri {address}"


def tell_comparison(session: Session, found: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Print the models side by side, the best on the test set first, and how to get the whole report."""
    options, metric = session.options, session.plan.metric
    table = Table("model", "trials", f"valid {options.metric}", f"test {options.metric}", "search s", "retrain s")
    for name, each in sorted(found.items(), key=lambda item: -item[1]["test"][metric]["mean"]):
        test, seconds = each["test"][metric], each["seconds"]
        table.add_row(
            name,
            str(sum(each["trials"].values())),
            f"{each['best']['valid']:.4f}",
            _with_spread(test),
            f"{seconds['search']:.0f}",
            f"{seconds['retrain']:.0f}",
        )
    console.print(table)
    flag = f" --tracking-uri {options.tracking_uri}" if options.tracking_uri else ""
    console.print(
        "which differences are significant, and the whole comparison: "
        f"python jobs/report.py --dataset {session.dataset_name} --output report.html{redact(flag)}",
        markup=False,
    )


def _statistics(values: Sequence[float]) -> dict[str, Any]:
    """Mean, sample standard deviation (None for a single value) and the values themselves."""
    return {"mean": mean(values), "std": stdev(values) if len(values) > 1 else None, "values": list(values)}


def _with_spread(test: Mapping[str, Any]) -> str:
    """Mean and standard deviation, of which a single seed has none."""
    return f"{test['mean']:.4f}" + ("" if test["std"] is None else f" ± {test['std']:.4f}")


def write_summary(file: Path, summary: dict[str, Any]) -> None:
    """Write the summary as JSON; UserError names --summary when that fails."""
    write_output(file, json.dumps(summary, indent=2) + "\n", "--summary")
