"""Recommendations: for whom, of what, in which order, and into which file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.helpers.synthetic import communities

from unblur.data.dataset import Dataset
from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.evaluation.ranking import rank
from unblur.experiments.options import RecommendOptions
from unblur.experiments.prepared import prepare_data
from unblur.experiments.recommend import check_output, recommend, recommendations, write
from unblur.models import trained_on
from unblur.models.closed_form import ease, gaussian_cfg, popularity

DATA = communities(n_users=90)
SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def model() -> ease.Model:
    fitted = ease.Model(ease.Config(), DATA.n_users, DATA.n_items)
    fitted.fit(DATA)
    return fitted


def test_everyone_gets_the_best_of_what_is_unseen(model: ease.Model) -> None:
    table = recommendations(model, DATA, None, 7)
    assert table.groupby("user").size().eq(7).all() and table["user"].nunique() == DATA.n_users
    known = (DATA.train + DATA.valid).tocsr()
    rows, columns = known.nonzero()
    seen = pd.DataFrame({"user": DATA.users[rows], "item": DATA.items[columns]})
    assert seen.merge(table, on=["user", "item"]).empty
    best = rank(model, DATA.known(True), known, np.arange(DATA.n_users), 7)
    assert table["item"].tolist() == DATA.items[best.ravel()].tolist()
    assert table.groupby("user")["score"].is_monotonic_decreasing.all()
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7] * DATA.n_users


def test_users_are_answered_in_the_order_asked_as_among_everyone(model: ease.Model) -> None:
    users = [str(DATA.users[40]), str(DATA.users[3])]
    some, everyone = recommendations(model, DATA, users, 3), recommendations(model, DATA, None, 3)
    assert some["user"].tolist() == [users[0]] * 3 + [users[1]] * 3
    for user in users:
        pd.testing.assert_frame_equal(
            some[some["user"] == user].reset_index(drop=True),
            everyone[everyone["user"] == user].reset_index(drop=True),
        )


def test_the_history_is_what_the_model_sees(model: ease.Model) -> None:
    with_valid, without = (recommendations(model, DATA, None, 5, which) for which in ("train+valid", "train"))
    assert not np.allclose(with_valid["score"], without["score"])
    scores = model.score(DATA.history(), np.arange(DATA.n_users)).numpy()
    first = without[without["rank"] == 1]
    columns = {item: column for column, item in enumerate(DATA.items.tolist())}
    expected = [scores[row, columns[item]] for row, item in enumerate(first["item"])]
    np.testing.assert_allclose(first["score"], expected, rtol=1e-6)


def test_fewer_where_less_is_unseen(model: ease.Model) -> None:
    table = recommendations(model, DATA, None, DATA.n_items + 5)
    unseen = DATA.n_items - np.diff((DATA.train + DATA.valid).tocsr().indptr)
    assert table.groupby("user", sort=False).size().tolist() == unseen.tolist()


def test_what_is_excluded_makes_room_for_the_next_best(model: ease.Model) -> None:
    everything = recommendations(model, DATA, None, DATA.n_items)
    gone = DATA.items[[3, 17]].tolist()
    left = everything[~everything["item"].isin(gone)].groupby("user", sort=False).head(5)
    table = recommendations(model, DATA, None, 5, exclude=gone)
    assert table["item"].tolist() == left["item"].tolist() and not set(gone) & set(table["item"])
    assert table["rank"].tolist() == [1, 2, 3, 4, 5] * DATA.n_users
    with pytest.raises(UserError, match=r"--exclude: 'nothing': not among the 40 items"):
        recommendations(model, DATA, None, 5, exclude=["nothing"])


def test_guidance_is_turned_without_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A described file, a guided model in closed form: the scale changes the lists, titles stand beside the items."""
    monkeypatch.chdir(tmp_path)
    rows = [(f"u{u}", f"i{i}", 50 * u + i) for u in range(40) for i in range(30) if (u * i + u + i) % 3]
    Path("plays.txt").write_text("".join(f"{u}|{i}|{t}\n" for u, i, t in rows))
    Path("names.csv").write_text("item,title\n" + "".join(f"i{i},No. {i}\n" for i in range(1, 30)))
    Path("plays.yaml").write_text(
        "source: plays.txt\nformat: {delimiter: '|', header: false}\ncolumns: {user: 1, item: 2, time: 3}\n"
        "titles: {file: names.csv, item: item, title: title}\n"
    )
    data = prepare_data(DataRequest(dataset="plays.yaml"), str(tmp_path / "unblur-runs"), None, SILENT).dataset
    fitted = gaussian_cfg.Model(gaussian_cfg.Config(), data.n_users, data.n_items)
    fitted.fit(data)
    trained_on.save(fitted, tmp_path / "saved", data)
    asked = {"data": DataRequest(dataset="plays.yaml"), "model": "saved", "k": 3}
    plain, guided = (recommend(RecommendOptions(**asked, guidance_scale=scale)) for scale in (1, 3))
    assert plain["user"].tolist() == guided["user"].tolist() and not np.allclose(plain["score"], guided["score"])
    fitted.infer_with({"guidance_scale": 3.0})
    assert guided["item"].tolist() == recommendations(fitted, data, None, 3)["item"].tolist()
    assert list(guided.columns) == ["user", "item", "title", "rank", "score"]
    told = ["" if item == "i0" else f"No. {item[1:]}" for item in guided["item"]]
    assert guided["title"].fillna("").tolist() == told
    trained_on.save(popularity_of(data), tmp_path / "plain", data)
    with pytest.raises(UserError, match="--guidance-scale 2: this model has no guidance; leave it out"):
        recommend(RecommendOptions(**{**asked, "model": "plain"}, guidance_scale=2))


def popularity_of(data: Dataset) -> popularity.Model:
    fitted = popularity.Model(popularity.Config(), data.n_users, data.n_items)
    fitted.fit(data)
    return fitted


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_written_is_what_was_found(model: ease.Model, tmp_path: Path, form: str) -> None:
    table, file = recommendations(model, DATA, None, 2), tmp_path / "deep" / f"found.{form}"
    write(table, file)
    read = pd.read_csv(file, dtype={"user": str, "item": str}) if form == "csv" else pd.read_parquet(file)
    assert read["item"].tolist() == table["item"].tolist() and read["rank"].tolist() == table["rank"].tolist()
    np.testing.assert_allclose(read["score"], table["score"], rtol=1e-6)


def test_a_saved_model_recommends_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = prepare_data(DataRequest(), str(tmp_path / "unblur-runs"), None, SILENT).dataset
    trained_on.save(popularity_of(data), tmp_path / "saved", data)
    user = str(data.users[5])
    found = recommend(RecommendOptions(model="saved", users=user, k=4, output=Path("found.csv")), SILENT)
    assert found["user"].tolist() == [user] * 4 and len(pd.read_csv("found.csv")) == 4
    with pytest.raises(UserError, match="--users: 'nobody': not among the"):
        recommend(RecommendOptions(model="saved", users=f"{user},nobody"), SILENT)


def test_another_form_is_refused_before_anything_is_done() -> None:
    with pytest.raises(UserError, match=r"--output found\.txt: expected a name that ends in \.csv or \.parquet"):
        check_output(Path("found.txt"))
