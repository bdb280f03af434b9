"""The training loop: what it keeps, when it stops, and that a resumed training is the undisturbed one."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tests.helpers.reports import timeless
from tests.helpers.synthetic import communities

from unblur import models
from unblur.evaluation.ranking import validate
from unblur.training import loop
from unblur.training.checkpoints import Checkpoint, Checkpoints
from unblur.training.loop import TrainingFailed, TrainingSchedule, fit
from unblur.training.report import Progress
from unblur.training.task import Task
from unblur.training.workers import Workers

SPLIT = communities()
PARAMS = {"dims": [16], "batch_size": 32, "lr": 0.01}


def build(**params: object) -> models.Recommender:
    config = models.configure("cfg_diffrec", {**PARAMS, **params}, "test")
    return models.model_class("cfg_diffrec")(config, SPLIT.n_users, SPLIT.n_items, seed=3)


class Told:
    """A report that remembers, and that dies at an epoch."""

    def __init__(self, die: int = 0) -> None:
        self.seen: dict[int, Progress] = {}
        self.die = die

    def __call__(self, progress: Progress) -> None:
        if progress.epoch == self.die:
            raise KeyboardInterrupt
        self.seen[progress.epoch] = progress


@pytest.fixture(autouse=True)
def checkpoint_at_every_epochs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)


@pytest.mark.parametrize("name", ["ease", "cfg_diffrec"])
def test_scores_that_are_not_finite_fail_the_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.model_class(name)(models.configure(name, {}, "test"), SPLIT.n_users, SPLIT.n_items)
    monkeypatch.setattr(model, "score", lambda history, users: torch.full((len(users), SPLIT.n_items), torch.nan))
    with pytest.raises(TrainingFailed, match="scores are not finite"):
        fit(model, SPLIT, TrainingSchedule(epochs=1), Told())


@pytest.mark.parametrize("params", [{}, {"ema": 0.9}], ids=["weights", "average"])
def test_without_validation_the_last_epochs_weights_are_kept(params: dict[str, float]) -> None:
    """The same as of a training that is evaluated after its last epoch alone; nothing is asked of the parts."""
    none = replace(SPLIT, valid=SPLIT.valid * 0, valid_rank=None)
    none.valid.eliminate_zeros()
    blind, seeing, told = build(**params), build(**params), Told()
    outcome = fit(blind, none, TrainingSchedule(epochs=7, eval_every=2, patience=1, blind=True), told)
    fit(seeing, SPLIT, TrainingSchedule(epochs=7, eval_every=7), Told())
    assert outcome.epoch == 7 and outcome.metrics == {} and list(told.seen) == [2, 4, 6, 7]
    assert all(each.best is None and not each.metrics for each in told.seen.values())
    for name, value in seeing.state_dict().items():
        torch.testing.assert_close(blind.state_dict()[name], value, rtol=0, atol=0)


def test_a_training_that_nobody_looks_at_does_not_end_early_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a validation part, the best of the epochs before the loss was lost counts."""
    whole = loop.Training.train_epoch

    def lost_in_the_fourth(training: loop.Training) -> float:
        if training.epoch == 3:
            raise loop.Diverged("the loss became nan in epoch 4: try a smaller lr")
        return whole(training)

    monkeypatch.setattr(loop.Training, "train_epoch", lost_in_the_fourth)
    schedule = TrainingSchedule(epochs=7, eval_every=1)
    assert fit(build(), SPLIT, schedule, Told()).diverged
    with pytest.raises(TrainingFailed, match="nan in epoch 4"):
        fit(build(), SPLIT, schedule.model_copy(update={"blind": True}), Told())


def test_evaluates_every_few_epochs_and_at_the_end() -> None:
    told = Told()
    fit(build(), SPLIT, TrainingSchedule(epochs=8, eval_every=3), told)
    assert list(told.seen) == [3, 6, 8]
    assert {"ndcg_at_10", "recall_at_20"} <= told.seen[3].metrics.keys()
    assert {"loss", "seconds", "parameters"} == told.seen[3].facts.keys()


def test_keeps_the_best_weights() -> None:
    told, model = Told(), build(lr=0.05)
    outcome = fit(model, SPLIT, TrainingSchedule(epochs=30, eval_every=2, patience=30, metric="ndcg_at_5"), told)
    values = {epoch: progress.metrics["ndcg_at_5"] for epoch, progress in told.seen.items()}
    assert outcome.value == max(values.values()) and values[outcome.epoch] == outcome.value
    assert validate(model, SPLIT).metrics()["ndcg_at_5"] == pytest.approx(outcome.value)


def test_the_model_is_left_with_the_best_epochs_inference_not_the_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([({"guidance_scale": 2.0}, 0.5), ({"guidance_scale": 0.0}, 0.3)])

    def swept(grid: object, model: models.Recommender, *_: object) -> tuple[dict[str, float], dict[str, float]]:
        settings, value = next(found)
        model.infer_with(settings)
        return settings, {"ndcg_at_10": value}

    monkeypatch.setattr(loop, "best_of", swept)
    model, schedule = build(), TrainingSchedule(epochs=2, eval_every=1)
    outcome = fit(model, SPLIT, schedule, Told(), grid=[{"guidance_scale": 2.0}, {"guidance_scale": 0.0}])
    assert (outcome.epoch, outcome.inference) == (1, {"guidance_scale": 2.0})
    assert model.config.guidance_scale == 2.0


def test_every_epoch_is_trained_in_training_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    model, modes = build(), []
    forward = model.forward  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", lambda examples: modes.append(model.training) or forward(examples))
    fit(model, SPLIT, TrainingSchedule(epochs=2, eval_every=1), Told())
    assert modes and all(modes)


def test_patience_counts_epochs_since_the_best() -> None:
    told = Told()
    outcome = fit(build(lr=1e-9), SPLIT, TrainingSchedule(epochs=100, eval_every=2, patience=6), told)
    assert max(told.seen) == outcome.epoch + 6


class DiesIn(Checkpoints):
    """Checkpoints of a training that dies in the epoch after `epoch`."""

    def __init__(self, folder: str, epoch: int) -> None:
        super().__init__(folder)
        self.epoch = epoch

    def save(self, checkpoint: Checkpoint) -> None:
        super().save(checkpoint)
        if checkpoint.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("report", "saved", "ema"),
    [(4, 3, 0.0), (8, 7, 0.9), (None, 1, 0.0), (None, 5, 0.9), (None, 6, 0.0), (None, 9, 0.0)],
    ids=lambda each: str(each),
)
def test_a_resumed_training_is_the_undisturbed_one(report: int | None, saved: int, ema: float, tmp_path: Path) -> None:
    """Wherever it died: in the report of an evaluation, after the checkpoint of an epoch without and with one."""
    schedule, undisturbed, resumed = TrainingSchedule(epochs=10, eval_every=2), Told(), Told()
    whole, killed = build(ema=ema), Told(die=report or 0)
    outcome = fit(whole, SPLIT, schedule, undisturbed)
    with pytest.raises(KeyboardInterrupt):
        fit(build(ema=ema), SPLIT, schedule, killed, DiesIn(str(tmp_path), saved if report is None else 0))
    checkpoints = Checkpoints(str(tmp_path))
    assert (found := checkpoints.newest()) is not None and found.epoch == saved
    again = build(ema=ema)
    assert fit(again, SPLIT, schedule, resumed, checkpoints) == outcome
    assert [*killed.seen, *resumed.seen] == list(undisturbed.seen), "what died in its report is told again"
    spent = [progress.facts["seconds"] for told in (killed, resumed) for progress in told.seen.values()]
    assert spent == sorted(spent), "those before the death count too"
    for name, value in whole.state_dict().items():
        assert value.equal(again.state_dict()[name]), name
    for epoch, progress in resumed.seen.items():
        assert timeless(progress) == timeless(undisturbed.seen[epoch])


def test_a_resumed_training_ends_with_the_best_weights_even_if_those_are_of_before_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "best_of", lambda grid, model, *_: ({}, {"ndcg_at_10": next(values)}))
    schedule, checkpoints = TrainingSchedule(epochs=6, eval_every=2), Checkpoints(str(tmp_path))
    values = iter([0.9, 0.5, 0.4])
    fit(whole := build(), SPLIT, schedule, Told())
    values = iter([0.9, 0.5, 0.4, 0.4])
    with pytest.raises(KeyboardInterrupt):
        fit(build(), SPLIT, schedule, Told(die=6), checkpoints)
    assert fit(again := build(), SPLIT, schedule, Told(), checkpoints).epoch == 2
    for name, value in whole.state_dict().items():
        assert value.equal(again.state_dict()[name]), name


def test_what_ran_before_in_the_process_changes_nothing() -> None:
    first = fit(build(), SPLIT, TrainingSchedule(epochs=3, eval_every=1), Told())
    torch.randn(1000)
    assert fit(build(), SPLIT, TrainingSchedule(epochs=3, eval_every=1), Told()) == first


def test_a_diverging_loss_is_a_failure_with_its_reason() -> None:
    with pytest.raises(TrainingFailed, match=r"the loss became (nan|inf) in epoch \d+: try a smaller lr"):
        fit(build(lr=1e30), SPLIT, TrainingSchedule(epochs=50), Told())


@pytest.mark.parametrize("fault", ["forward", "score"])
def test_divergence_after_an_evaluation_ends_a_training_and_leaves_its_best(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, broken = build(), build()
    best = fit(healthy, SPLIT, TrainingSchedule(epochs=4, eval_every=2), Told())
    told, method = Told(), getattr(broken, fault)

    def spoilt(*args: object) -> torch.Tensor:
        result: torch.Tensor = method(*args)
        return result * torch.nan if 4 in told.seen else result

    monkeypatch.setattr(broken, fault, spoilt)
    outcome = fit(broken, SPLIT, TrainingSchedule(epochs=20, eval_every=2), told, Checkpoints(str(tmp_path)))
    says = {"forward": "the loss became nan in epoch 5", "score": "scores are not finite"}
    assert list(told.seen) == [2, 4] and says[fault] in str(outcome.diverged)
    assert replace(outcome, diverged=None) == best
    monkeypatch.undo()
    assert validate(broken, SPLIT).metrics() == validate(healthy, SPLIT).metrics()


def test_out_of_memory_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    task = Task(model="diffrec", params={"dims": [10**12]}, seed=0, schedule=TrainingSchedule(), folder=str(tmp_path))
    with pytest.raises(TrainingFailed, match="out of memory"):
        task.run(SPLIT, Told())


def test_a_finished_task_leaves_its_model_and_no_checkpoints(tmp_path: Path) -> None:
    task = Task(
        model="cfg_diffrec",
        params=PARAMS,
        seed=0,
        schedule=TrainingSchedule(epochs=4, eval_every=2),
        folder=str(tmp_path),
        keep=True,
    )
    outcome = task.run(SPLIT, Told())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "outcome.json"]
    assert validate(models.load(tmp_path / "model"), SPLIT).metrics() == pytest.approx(outcome.metrics)


def test_a_checkpoint_is_written_when_a_machine_is_about_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 1e9)
    told, checkpoints = Told(die=8), Checkpoints(str(tmp_path))
    workers = Workers(notice=lambda: 6 not in told.seen)
    with pytest.raises(KeyboardInterrupt):
        fit(build(), SPLIT, TrainingSchedule(epochs=9, eval_every=2), told, checkpoints, workers)
    newest = checkpoints.newest()
    assert newest is not None and newest.epoch == 5, "evaluated or not"


CHANGES: dict[str, Callable[[Checkpoint], Checkpoint]] = {
    "training version 0": lambda c: replace(c, meta={**c.meta, "training": 0}),
    "training version None": lambda c: replace(c, meta={k: v for k, v in c.meta.items() if k != "training"}),
    "best.gain": lambda c: replace(c, meta={**c.meta, "best": {**c.meta["best"], "gain": 1.0}}),
    "best.diverged": lambda c: replace(c, meta={**c.meta, "best": {}}),
    "seconds": lambda c: replace(c, meta={k: v for k, v in c.meta.items() if k != "seconds"}),
    "model/": lambda c: replace(c, tensors={n.replace("model/", "model/net."): t for n, t in c.tensors.items()}),
    "expected": lambda c: replace(c, tensors={n: t.repeat(2) if t.ndim == 1 else t for n, t in c.tensors.items()}),
    "float64": lambda c: replace(c, tensors={n: t.double() for n, t in c.tensors.items()}),
    "moment": lambda c: replace(c, tensors={n: t[:-1] if "exp_avg" in n else t for n, t in c.tensors.items()}),
    "average/": lambda c: replace(c, tensors={n: t for n, t in c.tensors.items() if "average" not in n}),
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_checkpoint_of_another_version_is_set_aside_by_name(
    named: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on from the one before it, or from its start, to what it would have been."""
    schedule = TrainingSchedule(epochs=3, eval_every=1)
    right = fit(build(ema=0.9), SPLIT, schedule, Told())
    checkpoints, (first, newest) = Checkpoints(str(tmp_path)), states(schedule)
    checkpoints.save(CHANGES[named](newest))
    assert fit(build(ema=0.9), SPLIT, schedule, from_start := Told(), checkpoints) == right
    assert 1 in from_start.seen and named in caplog.text and f"{tmp_path}/epoch-000002" in caplog.text
    checkpoints.clear()
    checkpoints.save(first)
    checkpoints.save(CHANGES[named](newest))
    assert fit(build(ema=0.9), SPLIT, schedule, from_before := Told(), checkpoints) == right
    assert min(from_before.seen) == 2


@cache
def states(schedule: TrainingSchedule) -> list[Checkpoint]:
    """The states after the first two epochs of a training."""
    kept: list[Checkpoint] = []

    class Keep(Checkpoints):
        def save(self, checkpoint: Checkpoint) -> None:
            kept.append(replace(checkpoint, tensors={n: t.clone() for n, t in checkpoint.tensors.items()}))

    fit(build(ema=0.9), SPLIT, schedule, Told(), Keep("nowhere"))
    return kept[:2]
