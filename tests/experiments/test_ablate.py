"""Ablations on a real local Ray cluster: every cell once, resumable, and the test set opened only when asked."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from rich.console import Console
from tests.helpers.synthetic import communities
from tests.models.test_contract import trained

from unblur import models, records
from unblur.data.request import DataRequest
from unblur.data.store import Facts, load_dataset
from unblur.errors import RunFailed, UserError
from unblur.evaluation.ranking import validate
from unblur.experiments.ablate import ablate, cell_runs, load_study
from unblur.experiments.ablation import Ablation
from unblur.experiments.ablation_run import AblationResult
from unblur.experiments.cells import CellTraining, projection
from unblur.experiments.options import AblateOptions
from unblur.experiments.prepared import PreparedData
from unblur.files import under
from unblur.reporting.ablation import write
from unblur.training.workers import Workers

SPLIT = communities()
FACTS = Facts(users=60, items=20, train=1, valid=1, test=1, has_order=True, has_ratings=False, source_digest="")
REQUEST = DataRequest(dataset="sample")
SPLITS = {REQUEST: PreparedData(REQUEST, SPLIT, FACTS, Path("/x"), "train")}
STUDY: dict[str, Any] = {
    "question": "Does guidance help?",
    "dataset": "sample",
    "model": "generative_cfg",
    "parameters": {"lr": 0.01, "dims": [8], "T": 2, "guidance_scale": 1.0},
    "grid": {"p_uncond": [0.0, 0.3]},
    "inference": {"guidance_scale": [0.0, 1.0, 3.0]},
    "x": "guidance_scale",
    "seeds": 1,
    "epochs": 2,
    "eval_every": 1,
}


@pytest.mark.parametrize(
    "point",
    [
        {"guidance_scale": 3.0},
        {"t_prime_share": 0.5},
        {"sampler": "ddim", "reverse_steps": 2},
        {"guidance_scale": 3.0, "guidance_ramp": "cosine"},
    ],
    ids=str,
)
def test_a_swept_parameter_scores_as_if_the_model_had_been_trained_with_it(point: dict[str, Any]) -> None:
    users = np.arange(10)
    base = {"noise_scale": 1.0, "noise_min": 0.1, "noise_max": 0.99, "t_prime_share": 1.0, "T": 4}
    model, other = (trained("cfg_diffrec", SPLIT, epochs=3, **own) for own in (base, base | point))
    before, expected = (each.score(SPLIT.history().rows(users), users) for each in (model, other))
    model.infer_with(point)
    found = model.score(SPLIT.history().rows(users), users)
    torch.testing.assert_close(found, expected)
    assert not before.allclose(expected)


def test_a_cells_folder_follows_from_all_that_decides_its_result_and_from_nothing_else() -> None:
    def homes(**changes: Any) -> set[str]:
        return {each.folder for each in cell_runs(Ablation(name="s", **{**STUDY, **changes}), SPLITS, "/x")}

    assert len(homes(seeds=3)) == 6 and homes() < homes(seeds=3)
    assert homes() < homes(grid={"p_uncond": [0.3, 0.5, 0.0]}), "a study that grows keeps what is done"
    assert homes() == homes(inference={"guidance_scale": [2.0, 1.0]}, question="Another?"), "the network is the same"
    for changes in ({"epochs": 3}, {"metric": "recall@20"}, {"parameters": {**STUDY["parameters"], "lr": 0.02}}):
        assert not homes() & homes(**changes)


def test_one_training_is_scored_with_every_length_of_what_it_is_shown(tmp_path: Path) -> None:
    grid = {"of": {"guided": {}, "SLIST": {"model": "slist"}}}
    base = {**STUDY, "parameters": {}, "grid": grid, "x": "of", "seeds": 2}
    study = Ablation(name="s", newest=[0, 2, "all"], **base)
    runs = cell_runs(study, SPLITS, str(tmp_path))
    assert [str(run) for run in runs] == ["of guided, seed 0", "of SLIST, seed 0", "of guided, seed 1"]
    slist = runs[1]
    CellTraining(slist.training, slist.cell.points).run(SPLIT, lambda _: False, Workers())
    assert slist.done("valid") and [each.labels["newest"] for each in slist.measured("valid")] == [0, 2, "all"]
    model: Any = models.load(Path(slist.folder) / "model")
    for each, newest in zip(slist.measured("valid"), (0, 2, None), strict=True):
        assert each.metrics == validate(model, SPLIT, newest=newest).metrics()
    chosen = slist.best()
    assert chosen and chosen[0].newest == "all", "nobody chooses how little a model knows"
    (same,) = (run for run in cell_runs(Ablation(name="s", **base), SPLITS, str(tmp_path)) if run.cell.model == "slist")
    assert same.done("valid"), "a study that shows everything shares what is scored"


def test_the_projection_is_the_mean_of_what_is_done_times_what_is_left(tmp_path: Path) -> None:
    runs = cell_runs(Ablation(name="s", **{**STUDY, "seeds": 4}), SPLITS, str(tmp_path))
    assert projection(runs, 2) is None
    for each, seconds in zip(runs, (100.0, 200.0, 300.0), strict=False):
        records.write(under(each.folder, "outcome.json"), {"epoch": 1}, each.training.digest)
        points = {json.dumps({"guidance_scale": scale}): {} for scale in (0.0, 1.0, 3.0)}
        records.write(under(each.folder, "valid.json"), points, "valid")
        records.write(under(each.folder, "timing.json"), {"seconds": seconds}, "timing.json")
    assert projection(runs, 2) == (5 * 200 / 2, 3)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_ray: None) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def run(**options: Any) -> str:
    console = Console(record=True, width=300)

    def save(found: AblationResult) -> None:
        write(found.study, found.measured, Path("out.html"))

    options = {"study": "small.yaml", "trainer": "local", **options}
    try:
        ablate(AblateOptions(**options), console, save).check()
    except RunFailed as error:
        return console.export_text() + str(error)
    return console.export_text()


def files(home: Path, name: str) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in (home / "unblur-runs" / "ablations").rglob(name)}


@dataclass
class Walk:
    """What was told and what there was after each start of one ablation."""

    home: Path
    told: list[str] = field(default_factory=list)
    outcomes: list[dict[Path, int]] = field(default_factory=list)
    tests: list[dict[Path, int]] = field(default_factory=list)
    parents: list[Any] = field(default_factory=list)

    def start(self, **options: Any) -> None:
        self.told.append(run(**options))
        self.outcomes.append(files(self.home, "outcome.json"))
        self.tests.append(files(self.home, "test.json"))
        self.parents += children("ablation").values()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Iterator[Walk]:
    """An ablation told, begun, finished, tested, and asked for once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home := tmp_path_factory.mktemp("ablation"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (home / "small.yaml").write_text(yaml.safe_dump(STUDY))
        walk = Walk(home)
        for options in ({"dry_run": True}, {"at_most": 1}, {}, {"final": True}, {"final": True}):
            walk.start(**options)
        yield walk


def test_every_cell_is_trained_once_and_tested_once_and_only_when_asked(walk: Walk) -> None:
    dry, first, whole, tested, again = walk.told
    assert "none is timed yet" in dry and "1 cells are left" in first and "by the mean of the 1 timed" in whole
    assert "testing 2 cells" in tested and "testing 0 cells" in again
    nothing, one, both, *later = walk.outcomes
    assert (len(nothing), len(one), len(both)) == (0, 1, 2) and one.items() < both.items() and later == [both, both]
    *none, opened, same = walk.tests
    assert none == [{}, {}, {}] and len(opened) == 2 and same == opened

    frame = pd.read_csv(walk.home / "out.csv")
    counts = frame.groupby(["part", "p_uncond"]).size().to_dict()
    assert counts == {("valid", 0.0): 1, ("valid", 0.3): 3, ("test", 0.0): 1, ("test", 0.3): 3}
    page = (walk.home / "out.html").read_text()
    assert "Does guidance help?" in page and "On validation" in page and "On test" in page
    _are_the_stored_models_own(walk.home, frame)


def _are_the_stored_models_own(home: Path, frame: pd.DataFrame) -> None:
    (search,) = (home / "unblur-runs" / "data").glob("*/search.safetensors")
    dataset = load_dataset(search.parent)
    for folder in files(home, "model"):
        model: Any = models.load(folder)
        mine = frame[(frame.part == "valid") & (frame.p_uncond == model.config.p_uncond)]
        for row in mine.itertuples():
            model.config = model.config.model_copy(update={"guidance_scale": row.guidance_scale})
            assert validate(model, dataset).metrics()["ndcg_at_10"] == pytest.approx(row.ndcg_at_10, rel=1e-6)


def children(kind: str) -> dict[int, Any]:
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return {int(run.data.tags["unblur.number"]): run for run in found if run.data.tags["unblur.kind"] == kind}


def test_mlflow_has_a_run_for_each_cell_and_no_cell_twice(walk: Walk) -> None:
    begun, *_, same = walk.parents
    assert begun.info.status == "KILLED" and "1 cells are left" in begun.data.tags["unblur.reason"]
    assert same.info.run_id == begun.info.run_id and same.info.status == "FINISHED" and len(children("ablation")) == 1
    cells, frame = children("cell"), pd.read_csv(walk.home / "out.csv")
    assert sorted(cells) == [0, 1]
    client = MlflowClient(f"sqlite:///{walk.home}/mlflow.db")
    for cell in cells.values():
        assert cell.info.status == "FINISHED" and cell.data.tags["mlflow.parentRunId"] == same.info.run_id
        mine = frame[frame.p_uncond == float(cell.data.params["p_uncond"])]
        best = mine[mine.part == "valid"].sort_values("ndcg_at_10").iloc[-1]
        tested = mine[(mine.part == "test") & (mine.guidance_scale == best.guidance_scale)].iloc[0]
        assert json.loads(cell.data.tags["unblur.inference"]) == {"guidance_scale": best.guidance_scale}
        assert cell.data.metrics["swept/ndcg_at_10"] == pytest.approx(best.ndcg_at_10)
        assert cell.data.metrics["test/ndcg_at_10"] == pytest.approx(tested.ndcg_at_10)
        curve = client.get_metric_history(cell.info.run_id, "valid/ndcg_at_10")
        assert [point.step for point in curve] == [1, 2]
    winner = max(cells.values(), key=lambda cell: cell.data.metrics["swept/ndcg_at_10"])
    assert same.data.metrics["test/ndcg_at_10"] == pytest.approx(winner.data.metrics["test/ndcg_at_10"])


def test_a_longer_sweep_trains_nothing_again(walk: Walk) -> None:
    longer = {**STUDY, "inference": {"guidance_scale": [1.0, 2.0, 3.0]}}
    (walk.home / "small.yaml").write_text(yaml.safe_dump(longer))
    walk.start()
    assert walk.outcomes[-1] == walk.outcomes[-2]
    assert pd.read_csv("out.csv").query("part == 'valid'").groupby("p_uncond").guidance_scale.apply(list).to_dict() == {
        0.0: [1.0],
        0.3: [1.0, 2.0, 3.0],
    }


def test_a_cell_that_cannot_be_trained_does_not_keep_the_others_from_it(home: Path) -> None:
    (home / "small.yaml").write_text(yaml.safe_dump({**STUDY, "grid": {"lr": [1e30, 0.01]}}))
    told = run()
    assert "lr 1e+30, seed 0 failed: the " in told and len(files(home, "outcome.json")) == 1


def test_two_drivers_of_one_ablation_exclude_each_other(home: Path) -> None:
    def meanwhile(found: AblationResult) -> None:
        with pytest.raises(UserError, match=r"ablation small is already being driven by process \d+"):
            run()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(AblateOptions(study="small.yaml", trainer="local"), changed=meanwhile)
    (parent,) = children("ablation").values()
    assert (parent.info.status, parent.data.tags["unblur.state"]) == ("KILLED", "interrupted")


def test_an_unknown_study_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"unknown ablation 'steps_t'.*Did you mean 'steps_T'.*scale_curve_toys"):
        load_study("steps_t")
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_study("nowhere.yaml")
