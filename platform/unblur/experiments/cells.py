"""One cell of an ablation with one seed: trained once, scored once at every point of its sweep."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from unblur import models
from unblur.data.dataset import Dataset
from unblur.data.test_set import TestSet
from unblur.evaluation.ranking import Evaluation, final, validate
from unblur.experiments.ablation import Cell, Measured
from unblur.files import download, read_json, under, write_json
from unblur.models import trained_on
from unblur.running.resources import Resources
from unblur.training.task import OUTCOME, Task, run
from unblur.training.workers import on_best_device

TIMING = "timing.json"
Part = Literal["valid", "test"]
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """A cell with a seed. Its folder is named by all that decides the result, so that studies share what is done."""

    cell: Cell
    seed: int
    """Its place among the study's seeds."""
    task: Task

    @property
    def home(self) -> str:
        return self.task.folder

    @property
    def trained(self) -> bool:
        return read_json(under(self.home, OUTCOME)) is not None

    @property
    def seconds(self) -> float | None:
        """What its training and scoring took; None before."""
        timing = read_json(under(self.home, TIMING))
        return None if timing is None else float(timing["seconds"])

    def done(self, part: Part) -> bool:
        """Whether every point of the sweep is scored."""
        scored = read_json(under(self.home, f"{part}.json")) or {}
        return self.trained and all(_key(point) in scored for point in self.cell.points)

    def measured(self, part: Part) -> list[Measured]:
        """What is scored so far."""
        scored, outcome = read_json(under(self.home, f"{part}.json")) or {}, read_json(under(self.home, OUTCOME)) or {}
        facts = {name: outcome.get(name) for name in ("epoch", "parameters", "memory_mib")} | {"seconds": self.seconds}
        points = [point for point in self.cell.points if _key(point) in scored]
        return [Measured({**self.cell.labels, **p}, self.seed, part, scored[_key(p)], facts) for p in points]


def piece(cell: Cell, index: int, task: Task, digest: str) -> Piece:
    """`task.folder` is that of all cells; the piece gets one in it, by the data, the configuration, plan and seed."""
    config = models.configure(task.model, task.params, str(cell))
    what: dict[str, Any] = {"data": digest, "model": task.model, "config": config.model_dump(mode="json")}
    what |= {"plan": task.plan.model_dump(), "seed": task.seed}
    name = sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return Piece(cell, index, task.model_copy(update={"folder": under(task.folder, name)}))


def train_and_score(piece: Piece, dataset: Dataset, resources: Resources) -> None:
    """What a worker does: train unless that is done, resuming from checkpoints, then score what is not scored."""
    resources.settle()
    started = time.monotonic()
    before = piece.seconds or 0.0
    if not piece.trained:
        run(piece.task, dataset, lambda _: None)
    _score(piece, "valid", dataset, lambda model: validate(model, dataset))
    write_json(under(piece.home, TIMING), {"seconds": before + time.monotonic() - started})


def score_on_test(piece: Piece, data: TestSet, resources: Resources) -> None:
    """Score on the test set what was not tested yet."""
    resources.settle()
    _score(piece, "test", data.dataset, lambda model: final(model, data.dataset, data.test, data.history))


def _score(piece: Piece, part: Part, dataset: Dataset, evaluate: Callable[[Any], Evaluation]) -> None:
    file = f"{part}.json"
    scored = read_json(under(piece.home, file)) or {}
    missing = [point for point in piece.cell.points if _key(point) not in scored]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as scratch:
        model = on_best_device(trained_on.load(download(under(piece.home, "model"), Path(scratch)), dataset))
    for point in missing:
        model.infer_with(point)  # every point sets the same fields
        scored[_key(point)] = evaluate(model).metrics()
    write_json(under(piece.home, file), scored)


def _key(point: Point) -> str:
    return json.dumps(dict(point), sort_keys=True)


def projection(pieces: Sequence[Piece], places: int) -> tuple[float, int] | None:
    """Seconds that the rest may take, by the mean of those that are done, and how many these are; None before any."""
    known = [seconds for piece in pieces if piece.done("valid") and (seconds := piece.seconds) is not None]
    if not known:
        return None
    left = sum(not piece.done("valid") for piece in pieces)
    return left * sum(known) / len(known) / max(places, 1), len(known)
