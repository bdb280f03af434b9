"""What a study's parent run says: parameters and files that a program reads, a description that a person reads."""

from dataclasses import replace

import yaml
from tests.experiments.test_results import study
from tests.helpers.toy_study import identity

from unblur.experiments.study_record import description, space_file, views
from unblur.search.space import Choice, FloatRange, SearchSpace

SWEPT = {
    "guidance_scale": FloatRange(type="float", low=0, high=4, stage="inference"),
    "sampler": Choice(type="choice", values=["ddim", "ddpm"], stage="inference"),
}


def test_the_space_as_a_file_is_the_space_that_was_searched() -> None:
    searched = identity(swept=SWEPT)
    read = SearchSpace.model_validate(yaml.safe_load(space_file(searched)))
    assert read == searched.space.model_copy(update={"parameters": {**searched.space.parameters, **SWEPT}})


def test_the_view_of_trials_has_the_parameters_as_columns() -> None:
    _, trials, _ = views(identity(swept=SWEPT))
    named = {"params.`x`", "params.`depth`", "metrics.`inference/guidance_scale`"}
    assert named <= set(trials.columns) and "metrics.`inference/sampler`" not in trials.columns
    (parallel,) = [chart for chart in trials.charts if chart["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["x", "dims", "kind"], "depth is not in every trial"


def test_without_a_search_there_is_no_view_of_trials() -> None:
    alone = identity(space=SearchSpace(model="toy", parameters={}))
    assert [view.name for view in views(alone)] == ["models by ndcg@10", "curves of ndcg@10"]


def test_the_description_has_verdict_configuration_and_model() -> None:
    found = study("ease", [0.2])
    final = replace(found.final, model_uri="models:/unblur-sample/1", champion="it is the champion")
    best = replace(found.best, params={"name": "a|b", "dims": [1, 2]})
    text = description(replace(found, final=final, best=best))
    assert text.startswith("**test ndcg@10: 0.2000 fitted once") and "popularity: 0.0100" in text
    assert "| best configuration | trial 0 of 2 (2 complete) |\n|---|---|" in text
    assert "| dims | `[1, 2]` |" in text and "| name | `a\\|b` |" in text, "a bar would end the cell"
    assert "models:/unblur-sample/1: it is the champion" in text and "unblur " in text
