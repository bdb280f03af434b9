"""The last words of a run: its result in a few lines, what to do next, and a summary as JSON."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from unblur.errors import UserError
from unblur.tracking.tracker import Tracker
from unblur.tuning.finale import Result, statistics
from unblur.tuning.session import Session


def conclude(
    session: Session,
    tracker: Tracker,
    name: str,
    result: Result,
    seconds: dict[str, float],
    console: Console,
    **found: Any,
) -> None:
    """Print the result and what to do next, and write the summary."""
    options, metric = session.options, session.plan.metric
    test = {key: statistics(values) for key, values in result.test.items()}
    mine, least = test[metric], result.popularity[metric]
    console.print(
        f"test {options.metric}: {mine['mean']:.4f} ± {mine['std']:.4f} over {options.seeds} seeds "
        f"(popularity {least:.4f}), history {options.history}",
        markup=False,
        style="bold",
    )
    if result.model_uri:
        console.print(f"registered {result.model_uri} as candidate", markup=False)
    console.print(f"look at the runs: mlflow ui --backend-store-uri {session.store.address}", markup=False)
    if options.summary:
        facts = session.prepared.facts
        sizes = {key: getattr(facts, key) for key in ("users", "items", "train", "valid", "test")}
        summary = {
            "study": name,
            "dataset": {"name": session.dataset, **sizes, "digest": session.prepared.digest},
            "model": options.model,
            **found,
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
        write_summary(options.summary, summary)


def write_summary(file: Path, summary: dict[str, Any]) -> None:
    """Write JSON at once; UserError names --summary when that fails."""
    try:
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise UserError(f"--summary {file} cannot be written: {error.strerror}") from None
