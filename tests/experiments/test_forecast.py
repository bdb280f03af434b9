"""What is said before a run: every model's needs by estimate, and what is refused for want of memory."""

import pytest
from tests.helpers.synthetic import communities

from unblur import models
from unblur.errors import UserError
from unblur.experiments import forecast
from unblur.experiments.forecast import estimates, place, plan, refuse_infeasible, whole_plan
from unblur.experiments.options import SearchOptions, TrainOptions
from unblur.experiments.speed import Speed, measured
from unblur.experiments.tune import default_space
from unblur.models.base import Operations
from unblur.running.resources import Resources
from unblur.search.space_file import SearchSpace, load_space
from unblur.training import memory
from unblur.training.loop import TrainingFailed, TrainingSchedule
from unblur.training.memory import physical_memory
from unblur.training.task import Task

SPLIT = communities()
CLOSED = {name for name in models.names() if not hasattr(models.model_class(name), "parameters")}


def space_of(model: str) -> SearchSpace:
    return load_space(default_space(model), models.config_class(model))


@pytest.mark.parametrize("model", models.names())
def test_every_search_can_be_forecast(model: str) -> None:
    for estimate in estimates(space_of(model), SPLIT):
        assert estimate.memory > 0 and (estimate.weights > 0 or model in CLOSED)
        assert 0 < measured(1).seconds(estimate.operations) < 3600


@pytest.mark.parametrize("model", models.names())
def test_more_data_take_longer(model: str) -> None:
    config = models.configure(model, {}, "test")
    small, large = (communities(size) for size in (10, 30))
    made = [models.model_class(model)(config, dataset.n_users, dataset.n_items) for dataset in (small, large)]
    speed = Speed(products=1.0, elements=1.0)
    assert speed.seconds(made[1].operations(large)) > speed.seconds(made[0].operations(small))


def test_blocks_over_longer_histories_take_longer() -> None:
    """What no count of weights knows: every place of a history goes through the blocks, as published padding too."""

    def products(**params: object) -> float:
        config = models.configure("diffurec", {"embedding_dim": 32, "heads": 2, **params}, "test")
        model = models.model_class("diffurec")(config, SPLIT.n_users, SPLIT.n_items)
        return model.operations(SPLIT).products

    assert products(max_length=2) < products(max_length=50) < products(max_length=50, as_published=True)
    per_place = products(as_published=True, max_length=50) - products(as_published=True, max_length=49)
    examples = len(
        models.model_class("diffurec")(models.configure("diffurec", {}, "test"), 1, 1).pairing.lengths(SPLIT)
    )
    assert per_place > 3 * examples * 4 * 12 * 32**2


def test_twice_the_threads_are_twice_as_fast() -> None:
    speed, twice = Speed(10, 5), Speed(20, 10)
    assert speed.seconds(Operations(100, 10)) == 12 == 2 * twice.seconds(Operations(100, 10))


def test_what_is_planned_is_told_in_words() -> None:
    search = SearchOptions(trials=30, seeds=1, epochs=60)
    assert plan(search, "diffrec") == "30 trials, then 1 seed, of at most 60 epochs each"
    assert plan(search, "ease") == "30 trials, then one final run"
    assert plan(TrainOptions(seeds=5, epochs=60), "diffrec") == "5 seeds, of at most 60 epochs each"
    assert [place(Resources()), place(Resources(2, 4, 0.5))] == ["1 CPU", "2 workers of 4 CPU and 0.5 GPU"]


def test_the_whole_plan_takes_its_rounds() -> None:
    search = SearchOptions(trials=8, seeds=2, epochs=30)
    assert whole_plan(search, "diffrec", 2, 0.5) == (4 + 1) * 30 * 0.5
    assert whole_plan(search, "diffrec", 3, 0.5) == (3 + 1) * 30 * 0.5, "the third round is not full"
    assert whole_plan(search, "ease", 2, 0.5) == (4 + 1) * 0.5, "a fit has no epochs, and no second seed"
    assert whole_plan(search.model_copy(update={"time_budget": 20.0}), "diffrec", 2, 0.5) == 20 + 30 * 0.5
    assert whole_plan(TrainOptions(seeds=2, epochs=30), "diffrec", 2, 0.5) == 30 * 0.5


def test_a_model_that_cannot_fit_is_refused_beforehand_with_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "physical_memory", lambda: 1000)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(forecast.ray, "is_initialized", lambda: False)  # other tests may have left it up
    with pytest.raises(UserError, match=r"ease needs at least .* MiB.*this machine has.*--model"):
        refuse_infeasible([space_of("ease")], SPLIT)


def test_a_model_that_fits_is_not_refused() -> None:
    refuse_infeasible([space_of(name) for name in ("ease", "cfg_diffrec")], SPLIT)


def test_one_trial_that_cannot_fit_fails_with_the_estimate(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000)
    one = Task(model="ease", params={}, seed=0, schedule=TrainingSchedule(), folder=str(tmp_path))
    with pytest.raises(TrainingFailed, match=r"needs an estimated .* of memory; this machine has"):
        one.run(SPLIT, lambda _: None)


def test_this_machines_memory_is_a_sensible_number() -> None:
    assert 2**28 < physical_memory() < 2**50
