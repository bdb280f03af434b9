"""Recommendations: for whom, of what, in which order, and into which file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tests.helpers.synthetic import communities

from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.evaluation.ranking import rank
from unblur.experiments.options import RecommendOptions
from unblur.experiments.recommend import check_output, recommend, recommendations, write
from unblur.models.closed_form import ease, popularity

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
    best = rank(model, DATA.history(True), known, np.arange(DATA.n_users), 7)
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


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_is_written_is_what_was_found(model: ease.Model, tmp_path: Path, form: str) -> None:
    table, file = recommendations(model, DATA, None, 2), tmp_path / "deep" / f"found.{form}"
    write(table, file)
    read = pd.read_csv(file, dtype={"user": str, "item": str}) if form == "csv" else pd.read_parquet(file)
    assert read["item"].tolist() == table["item"].tolist() and read["rank"].tolist() == table["rank"].tolist()
    np.testing.assert_allclose(read["score"], table["score"], rtol=1e-6)


def test_a_saved_model_recommends_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unblur.data.prepare import prepare
    from unblur.data.store import load_dataset
    from unblur.models import trained_on

    monkeypatch.chdir(tmp_path)
    prepared = prepare(DataRequest(), None, Path("unblur-runs"))
    data = load_dataset(prepared.folder)
    fitted = popularity.Model(popularity.Config(), data.n_users, data.n_items)
    fitted.fit(data)
    trained_on.save(fitted, tmp_path / "saved", data)
    user = str(data.users[5])
    found = recommend(RecommendOptions(model="saved", users=user, k=4, output=Path("found.csv")), SILENT)
    assert found["user"].tolist() == [user] * 4 and len(pd.read_csv("found.csv")) == 4
    with pytest.raises(UserError, match="--users: 'nobody': not among the"):
        recommend(RecommendOptions(model="saved", users=f"{user},nobody"), SILENT)


def test_another_form_is_refused_before_anything_is_done() -> None:
    with pytest.raises(UserError, match=r"--output found\.txt: expected a name that ends in \.csv or \.parquet"):
        check_output(Path("found.txt"))
