"""The trials of a search as tasks: seeds of their own, and the sweep that goes with what was drawn."""

from pathlib import Path

from tests.helpers.toy_study import identity

from unblur.experiments.search_trials import SearchTrials
from unblur.search.space import FloatRange, SearchSpace
from unblur.search.storage import local_url
from unblur.search.study import Study
from unblur.training.loop import TrainingSchedule

P_UNCOND = FloatRange(type="float", low=0.1, high=0.5)
SCALE = FloatRange(type="float", low=0, high=4, stage="inference")


def test_trials_differ_in_seed_and_folder_and_sweep_the_inference(tmp_path: Path) -> None:
    space = SearchSpace(model="cfg_diffrec", parameters={"p_uncond": P_UNCOND})
    study = Study.open(identity(model="cfg_diffrec", space=space, swept={"guidance_scale": SCALE}), local_url(tmp_path))
    trials = SearchTrials(study, 3, TrainingSchedule(), "folder")
    tasks = [trials.next().task for _ in range(3)]
    assert len({task.seed for task in tasks}) == len({task.folder for task in tasks}) == 3
    assert all(task.grid == tuple({"guidance_scale": float(scale)} for scale in range(5)) for task in tasks)
