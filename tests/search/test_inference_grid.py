"""The sweep over inference: which grid it is, that an evaluation takes the best of it, and that nothing is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.synthetic import communities

from unblur import models
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.experiments.tune import default_space
from unblur.models.diffusion import cfg_diffrec
from unblur.search.inference_grid import grid, points, without_swept, written
from unblur.search.space import Choice, FloatRange, IntRange, SearchSpace
from unblur.search.space_file import load_space
from unblur.training import validation
from unblur.training.checkpoints import Checkpoints
from unblur.training.loop import TrainingFailed, TrainingSchedule, fit
from unblur.training.report import Progress
from unblur.training.validation import best_of
from unblur.training.workers import Workers

SPLIT = communities()
SCALES = FloatRange(type="float", low=0, high=4, stage="inference")
GRID = [{"guidance_scale": scale, "t_prime_share": share} for scale in (0.0, 1.0, 2.0, 4.0) for share in (0.0, 1.0)]


def new(**params: Any) -> cfg_diffrec.Model:
    config = cfg_diffrec.Config(**{"dims": (16,), "batch_size": 40, "T": 4, "lr": 0.01, **params})
    return cfg_diffrec.Model(config, SPLIT.n_users, SPLIT.n_items)


def trained(epochs: int = 5) -> cfg_diffrec.Model:
    model = new()
    fit(model, SPLIT, TrainingSchedule(epochs=epochs), lambda _: None)
    return model


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Choice(type="choice", values=["a", "b"]), ["a", "b"]),
        (SCALES, [0, 1, 2, 3, 4]),
        (FloatRange(type="float", low=0.01, high=100, log=True), [0.01, 0.1, 1, 10, 100]),
        (FloatRange(type="float", low=0, high=1, step=0.5), [0, 0.5, 1]),
        (IntRange(type="int", low=1, high=3), [1, 2, 3]),
        (IntRange(type="int", low=2, high=10, step=4), [2, 6, 10]),
    ],
)
def test_points_are_spread_over_the_whole_range(parameter: Any, expected: list[Any]) -> None:
    assert points(parameter) == pytest.approx(expected) if expected[0] != "a" else points(parameter) == expected


def test_the_search_draws_what_changes_training_alone() -> None:
    space = load_space(default_space("cfg_diffrec"), cfg_diffrec.Config)
    rest, swept = without_swept(space)
    assert set(swept) == {"guidance_scale", "t_prime_share"}
    assert not rest.parameters.keys() & swept.keys() and rest.parameters.keys() | swept.keys() == set(space.parameters)
    assert all(not entry.keys() & swept.keys() for entry in rest.enqueue)


def test_entries_that_differ_in_inference_alone_are_tried_once() -> None:
    lr = FloatRange(type="float", low=1e-4, high=1e-2)
    entries = [{"lr": 1e-3, "guidance_scale": 1.0}, {"lr": 1e-3, "guidance_scale": 2.0}, {"lr": 2e-3}]
    space = SearchSpace(model="cfg_diffrec", parameters={"lr": lr, "guidance_scale": SCALES}, enqueue=entries)
    assert without_swept(space)[0].enqueue == [{"lr": 1e-3}, {"lr": 2e-3}]


def test_what_another_parameter_depends_on_is_drawn() -> None:
    sampler = Choice(type="choice", values=["ddim", "posterior_mean"], stage="inference")
    steps = IntRange(type="int", low=1, high=3, when={"sampler": "ddim"})
    space = SearchSpace(model="diffrec", parameters={"sampler": sampler, "T": steps})
    assert without_swept(space) == (space, {})


def test_the_grid_has_what_goes_with_the_training_alone() -> None:
    swept = {"guidance_scale": SCALES, "t_prime_share": Choice(type="choice", values=[0.0, 1.0])}
    assert len(grid("cfg_diffrec", swept, {"T": 4})) == 10
    # without an unconditional pass only scale 1 has a meaning
    only = grid("cfg_diffrec", swept, {"T": 4, "p_uncond": 0.0})
    assert only == [{"guidance_scale": 1.0, "t_prime_share": share} for share in (0.0, 1.0)]
    ramp = Choice(type="choice", values=["linear", "cosine"], when={"guidance": "classifier_free"})
    assert grid("cfg_diffrec", {"guidance_ramp": ramp}, {"guidance": "auto"}) == []
    assert grid("cfg_diffrec", {}, {}) == []


def test_a_training_parameter_cannot_be_marked(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("model: diffrec\nparameters:\n  lr: {type: float, low: 1.0e-4, high: 1.0e-2, stage: inference}\n")
    with pytest.raises(
        UserError, match=r"space\.yaml:3: parameters\.lr\.stage: .*lr changes training; .*t_prime_share"
    ):
        load_space(file, models.config_class("diffrec"))


def test_the_best_of_the_grid_is_what_trying_each_on_everyone_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "FINALISTS", len(GRID))
    model = trained()
    values = []
    for settings in GRID:
        model.infer_with(settings)
        values.append(validate(model, SPLIT).metrics()["ndcg_at_10"])
    assert len(set(values)) > 3
    settings, metrics = best_of(GRID, model, SPLIT, "ndcg_at_10", Workers())
    assert settings == GRID[int(np.argmax(values))] and metrics["ndcg_at_10"] == pytest.approx(max(values))
    assert model.config.guidance_scale == settings["guidance_scale"]


def test_a_few_users_choose_who_is_tried_on_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    model = trained()
    score = model.score
    monkeypatch.setattr(model, "score", lambda history, users: asked.append(len(users)) or score(history, users))
    monkeypatch.setattr(validation, "SAMPLE", 20)
    best_of(GRID, model, SPLIT, "ndcg_at_10", Workers())
    assert asked == [20] * len(GRID) + [SPLIT.n_users] * validation.FINALISTS


def test_a_sweep_trains_nothing() -> None:
    model = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    best_of(GRID, model, SPLIT, "ndcg_at_10", Workers())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_each_evaluation_is_swept_and_the_model_keeps_the_best_epochs_settings(tmp_path: Path) -> None:
    told: list[Progress] = []
    model = new()
    outcome = fit(model, SPLIT, TrainingSchedule(epochs=6, eval_every=2), told.append, grid=GRID)
    assert [set(each.inference) for each in told] == [{"guidance_scale", "t_prime_share"}] * 3
    assert outcome.inference in GRID
    assert {key: getattr(model.config, key) for key in outcome.inference} == outcome.inference
    assert validate(model, SPLIT).metrics()["ndcg_at_10"] == pytest.approx(outcome.value)
    model.save(tmp_path)
    loaded = models.load(tmp_path)
    assert validate(loaded, SPLIT).metrics()["ndcg_at_10"] == pytest.approx(outcome.value)


def test_a_resumed_training_chooses_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.training.loop.CHECKPOINT_SECONDS", 0.0)
    schedule = TrainingSchedule(epochs=6, eval_every=2)
    whole = fit(new(), SPLIT, schedule, lambda _: None, grid=GRID)
    checkpoints = Checkpoints(str(tmp_path))

    def dies(progress: Progress) -> None:
        if progress.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(new(), SPLIT, schedule, dies, checkpoints, grid=GRID)
    assert fit(new(), SPLIT, schedule, lambda _: None, checkpoints, grid=GRID) == whole


def test_a_setting_that_is_not_finite_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained()
    score = model.score

    def broken(history: Any, users: Any) -> torch.Tensor:
        scores = score(history, users)
        return scores * float("nan") if model.config.guidance_scale > 1 else scores

    monkeypatch.setattr(model, "score", broken)
    settings, _ = best_of(GRID, model, SPLIT, "ndcg_at_10", Workers())
    assert settings["guidance_scale"] <= 1
    high = [settings for settings in GRID if settings["guidance_scale"] > 1]
    with pytest.raises(TrainingFailed, match="not finite with any setting"):
        fit(model, SPLIT, TrainingSchedule(epochs=1), lambda _: None, grid=high)


def test_only_inference_can_be_changed() -> None:
    with pytest.raises(ValueError, match="lr cannot be changed without training"):
        new().infer_with({"lr": 1.0})
    with pytest.raises(ValueError, match="t_prime_share"):
        new().infer_with({"t_prime_share": 2.0})


@pytest.mark.parametrize("name", models.names())
def test_what_a_config_marks_are_fields_of_it(name: str) -> None:
    assert set(models.config_class(name).model_fields) >= models.config_class(name).INFERENCE


def test_written_on_one_line() -> None:
    assert written({"a": 1.5, "b": "ddim", "c": [1, 2]}) == 'a=1.5 b="ddim" c=[1,2]'
