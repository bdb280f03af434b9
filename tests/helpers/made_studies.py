"""Made-up studies, written to MLflow by the real Tracker."""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unblur.tracking import views
from unblur.tracking.client import Store
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.spending import spent
from unblur.tracking.tracker import Tracker
from unblur.training.record import State

USERS = 400
TOYS = LoggedDataset("amazon_toys", "ab" * 32, {"users": USERS, "items": 50, "train": 4000, "valid_untrained": 0.22})
METRICS = ("ndcg_at_10", "recall_at_10")
SEARCHED = {"lr": True, "dims": True, "normalize": True, "embedding_dim": False}
COST = {**spent({"seconds": 36.0, "cpu_assumed_watts": 4.0}, 2, 0), "power/cpu_assumed_watts": 4.0}
"""Of each training: 0.02 core hours, 0.00008 kWh."""

EXAMPLES = [
    {"interactions": 1, "ordered": True, "had": ["Robot"], "gets": ["Kite"]},
    {"interactions": 12, "ordered": True, "had": ["Robot", "17"], "gets": ["Kite", "<b>Yo-yo</b>"]},
]
"""Of what users had and would get."""


@dataclass
class Made:
    """A study to write. `level`: how far the model is ahead of the others, in nDCG."""

    model: str
    level: float
    trials: int = 3
    seeds: int = 3
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    begun: Mapping[str, Any] = field(default_factory=dict)
    """Tags from the start on."""
    history: str = "train"
    dataset: LoggedDataset = TOYS
    finished: bool = True
    per_user: bool = True
    swept: bool = False
    """Whether its final runs tried more than one setting of inference."""


def made_sweep(seeds: int) -> pd.DataFrame:
    """Guidance helps up to scale 2, and the more noise the chain starts from the less; coverage rises with it."""
    rows = [(s, scale, noise) for s in range(seeds) for scale in (0.0, 1.0, 2.0, 4.0) for noise in (0.0, 0.5)]
    frame = pd.DataFrame(rows, columns=["seed", "guidance_scale", "t_prime_share"])
    frame["coverage_at_10"] = 0.1 * frame["guidance_scale"] + 0.01 * frame["seed"]
    frame["ndcg_at_10"] = 0.2 - 0.01 * (frame["guidance_scale"] - 2).abs() - 0.05 * frame["t_prime_share"]
    return frame


def made_users(level: float, seed: int) -> pd.DataFrame:
    """Users of very different difficulty, the same for all models, and a little luck of each seed."""
    difficulty = np.random.default_rng(0).uniform(0.05, 0.6, USERS)
    luck = np.random.default_rng([seed, int(level * 1e6)]).normal(0, 0.02, USERS)
    ndcg = np.clip(difficulty + level + luck, 0, 1).astype(np.float32)
    counts = np.random.default_rng(1).integers(1, 30, USERS)
    users = [f"user {number}" for number in range(USERS)]
    return pd.DataFrame({"user": users, "n_relevant": counts, "ndcg_at_10": ndcg, "recall_at_10": ndcg / 2})


def trial_params(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    return {
        "lr": float(10 ** random.uniform(-5, -2)),
        "dims": [[200], [600], [200, 600]][number % 3],
        "normalize": bool(number % 2),
        "guidance_scale": float(random.uniform(0, 4)),
        **({"embedding_dim": 16 + number} if number % 4 == 0 else {}),
    }


def write_study(store: Store, made: Made, folder: Path, experiment: str = "amazon_toys/clean") -> str:
    """Write a study as a search does; returns the id of its parent run."""
    tracker = Tracker(store, experiment)
    trials = views.of_trials("ndcg_at_10", made.model, SEARCHED, ["guidance_scale"])
    views.save(store, tracker.experiment_id, [*views.of_experiment("ndcg_at_10"), trials])
    study_id = f"{made.model}-{uuid.uuid4().hex[:6]}"
    params = {"metric": "ndcg_at_10", "epochs": 100, "patience": 20, "seed": 0, "history": made.history}
    tags = {"unblur.model": made.model, "unblur.purpose": "search" if made.trials else "training", **made.begun}
    run_id = tracker.open_study(study_id, f"toys {made.model}", tags, params, made.dataset)
    for number in range(made.trials):
        value = 0.1 + made.level + np.random.default_rng(number).uniform(0, 0.05)
        tracker.start("trial", number, {**trial_params(number), **made.params})
        best = {"valid/best_ndcg_at_10": float(value)}
        tracker.log("trial", number, 5, {**best, "valid/ndcg_at_10": float(value), "train/loss": 0.5})
        tracker.log("trial", number, 10, {**best, "valid/ndcg_at_10": float(value) / 2, "train/loss": 0.4, **COST})
        tracker.end("trial", number, State.PRUNED if number % 3 == 2 else State.COMPLETE)
    if made.finished:
        _finish(tracker, made, folder / study_id)
    assert tracker.close() is None
    return run_id


def _finish(tracker: Tracker, made: Made, folder: Path) -> None:
    values: dict[str, list[float]] = {}
    for seed in range(made.seeds):
        users = made_users(made.level, seed)
        metrics = {name: float(users[name].to_numpy(np.float64).mean()) for name in METRICS}
        metrics["coverage_at_10"] = 0.4 + made.level + 0.01 * seed
        home = folder / f"{100 + seed:05d}"
        home.mkdir(parents=True)
        if made.per_user:
            users.to_parquet(home / "per_user.parquet", index=False)
        tracker.start("final", 100 + seed, {**trial_params(1), **made.params})
        tracker.note("final", 100 + seed, {"unblur.configuration": 1, "unblur.seed": seed})
        tracker.log("final", 100 + seed, 0, {**{f"test/{name}": value for name, value in metrics.items()}, **COST})
        tracker.end("final", 100 + seed, State.COMPLETE)
        for name, value in metrics.items():
            values.setdefault(f"test/{name}", []).append(value)
    artifacts = {"per_user": folder} if made.per_user else {}
    tags = {"unblur.history": made.history, "unblur.metrics": "as always", **made.tags}
    tracker.note_study({}, None, {"examples.json": json.dumps(EXAMPLES)})
    if made.swept:
        tracker.note_study({}, None, {"sweep.csv": made_sweep(made.seeds).to_csv(index=False)})
    tracker.finish({"test/popularity/ndcg_at_10": 0.01}, values, artifacts, tags)


def multiply_trials(store: Store, run_id: str, copies: int) -> None:
    """Copies of a study's trials, written into the database: through MLflow a thousand take a minute."""
    tables = {"runs": "run_uuid", "tags": "run_uuid", "params": "run_uuid"}
    tables |= {"metrics": "run_uuid", "latest_metrics": "run_uuid"}
    with closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database, database:
        child = "SELECT run_uuid FROM tags WHERE key = 'unblur.kind' AND value = 'trial' AND run_uuid IN "
        child += "(SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?)"
        originals = [row[0] for row in database.execute(child, (run_id,))]
        for copy in range(1, copies + 1):
            for position, original in enumerate(originals):
                new, number = uuid.uuid4().hex, copy * len(originals) + position
                for table, key in tables.items():
                    _copy(database, table, key, original, new)
                number_tag = (str(number), new)
                database.execute("UPDATE tags SET value = ? WHERE key = 'unblur.number' AND run_uuid = ?", number_tag)


def _copy(database: sqlite3.Connection, table: str, key: str, original: str, new: str) -> None:
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    others = ", ".join(f'"{column}"' for column in columns if column != key)
    copy = f"INSERT INTO {table} ({key}, {others}) SELECT ?, {others} FROM {table} WHERE {key} = ?"
    database.execute(copy, (new, original))
