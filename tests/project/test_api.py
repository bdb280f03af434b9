"""The library: what `import unblur` offers, its examples, and a script of ten lines."""

import doctest
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers import ROOT

import unblur
from unblur.errors import UserError

QUICK = """
import sys, time
begun = time.perf_counter()
import unblur
assert {"tune", "load_data", "recommend"} <= set(dir(unblur)) and unblur.__version__
print([name for name in ("torch", "ray", "mlflow", "optuna", "pandas", "numpy") if name in sys.modules])
"""


@pytest.fixture(scope="module", autouse=True)
def elsewhere(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One storage and one MLflow store for all, as a person has them in one folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("api")
        patch.chdir(folder)
        yield folder


def test_importing_the_package_loads_no_library() -> None:
    done = subprocess.run([sys.executable, "-c", QUICK], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'tuen'"):
        unblur.tuen  # noqa: B018


@pytest.mark.parametrize("name", unblur.FACE)
def test_every_function_has_an_example_and_it_is_true(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function = getattr(unblur, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    result = doctest.DocTestRunner().run(example)
    assert result.attempted and not result.failed, capsys.readouterr().out


@pytest.mark.slow
def test_a_script_of_ten_lines(
    plays: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["from_python.py", str(plays)])
    script = ROOT / "examples" / "from_python.py"
    assert len(script.read_text().splitlines()) <= 12
    made = runpy.run_path(str(script))
    out = capsys.readouterr().out
    assert set(made["models"].studies) == {"ease", "popularity"} and made["models"].best.name == "ease"
    assert "ease" in out
    table = made["table"]
    assert table["user"].tolist() == ["u1"] * 5 and table["rank"].tolist() == [1, 2, 3, 4, 5]
    seen = pd.read_csv(plays).query("listener == 'u1'")["track"]
    trained = made["plays"].frame().query("user == 'u1'")["item"]
    assert set(trained) < set(seen) and not set(table["item"]) & set(trained)
    assert np.all(np.diff(table["score"]) <= 0)


def test_a_study_is_found_again_with_its_trials_and_figures() -> None:
    made = unblur.tune("sample", model=["item_knn"], trials=2, seeds=1)  # that of the example
    study, found = made.best, unblur.load_study("sample", "item_knn")
    assert found.test["ndcg@10"].values == study.test["ndcg@10"].values
    assert found.best.params == study.best.params and found.model_uri == study.model_uri
    assert found.best.value == pytest.approx(study.best.value)
    trials = found.trials()
    assert len(trials) == 2 and trials["value"].max() == pytest.approx(study.best.value)
    assert study.plot_search().axes[0].lines
    assert study.frame()["ndcg@10"].tolist() == list(study.test["ndcg@10"].values)
    report = unblur.report("sample")
    assert "item_knn" in set(report.frame()["model"]) and report.plot_leaderboard().axes[0].collections
    with pytest.raises(UserError, match="no study of slim"):
        unblur.load_study("sample", "slim")


def test_a_frame_is_data_and_the_same_frame_is_the_same_data(plays: Path) -> None:
    frame = pd.read_csv(plays).rename(columns={"listener": "user", "track": "item", "played_at": "timestamp"})
    data = unblur.load_data(frame)
    assert unblur.load_data(frame.copy()).digest == data.digest
    assert data.name == "frame" and data.dataset.n_users == 300
    columns = {"user_column": "listener", "item_column": "track", "time_column": "played_at"}
    assert unblur.load_data(plays, **columns).dataset.train.nnz == data.dataset.train.nnz


def test_recommendations_of_everyone_leave_out_what_is_known() -> None:
    study = unblur.train("sample", model="ease", seeds=1)  # that of the examples
    data = unblur.load_data("sample")
    table = unblur.recommend(data, model=study, k=7)
    assert table.groupby("user").size().eq(7).all() and table["user"].nunique() == data.dataset.n_users
    known = data.frame()[["user", "item"]]
    assert known.merge(table, on=["user", "item"]).empty
    assert table.groupby("user")["score"].is_monotonic_decreasing.all()
    with pytest.raises(UserError, match="'nobody'"):
        unblur.recommend(data, model=study, users=["nobody"])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: unblur.tune("sample", model="ease", trails=3), r"unknown flag '--trails'\. Did you mean '--trials'"),
        (lambda: unblur.train("sample", model="ease", params={"l3": 1}), "unknown parameter 'l3'"),
        (lambda: unblur.recommend("sample", model="nowhere"), "nowhere"),
        (lambda: unblur.load_data(unblur.load_data("sample"), split="global_time"), "split: the data are prepared"),
        (lambda: unblur.tune("sample", model="ease", dry_run=True), "dry_run has no result"),
        (lambda: unblur.load_model("models:/unblur-unheard@champion"), "no registered model"),
    ],
)
def test_mistakes_are_told(ask: object, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=message):
        ask()  # type: ignore[operator]
    assert capsys.readouterr().out == ""
