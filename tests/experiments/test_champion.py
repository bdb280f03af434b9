"""Who is the champion of a dataset: real models, a real registry, the validation set as the judge."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_matrix
from tests.helpers.mlflow_store import empty_store
from tests.helpers.synthetic import communities

from unblur import models
from unblur.data.dataset import Dataset
from unblur.data.request import DataRequest
from unblur.errors import UserError
from unblur.evaluation.ranking import validate
from unblur.evaluation.significance import compare
from unblur.experiments.champion import challenge, corrected, expect_champion, level, mean_per_user
from unblur.models.base import ClosedFormRecommender
from unblur.tracking.client import Store
from unblur.tracking.registry import challenge_number, register
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.tracker import Tracker

SPLIT = communities()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return empty_store(tmp_path)


@pytest.fixture
def registered(store: Store, tmp_path: Path) -> Callable[..., str]:
    tracker = Tracker(store, "toys/clean")
    tracker.open_study("s1", "toys", {}, {}, LoggedDataset("toys", SPLIT.digest, {}))

    def registered(name: str, data: Dataset = SPLIT, split: str = "per_user_time", **params: Any) -> str:
        model = models.model_class(name)(models.configure(name, params, "test"), data.n_users, data.n_items)
        assert isinstance(model, ClosedFormRecommender)
        model.fit(data)
        folder = tmp_path / f"{name}-{len(params)}-{data.digest}"
        model.save(folder)
        tags = {"unblur.model": name, "unblur.dataset_digest": data.digest, "unblur.seeds": 1}
        tags["unblur.data_request"] = DataRequest(dataset=f"{data.digest}/toys.csv", split=split).model_dump_json()
        per_user = partial(mean_per_user, [str(folder)], data)
        items = [str(item) for item in data.items]
        return register(store, folder, "toys", items, tracker.parent_run_id, tags, per_user, 0, "")

    return registered


def held(store: Store, uri: str) -> str:
    return challenge(store, uri, "toys", "ndcg_at_10", SPLIT)


def champion(store: Store) -> str:
    return f"models:/unblur-toys/{store.client.get_model_version_by_alias('unblur-toys', 'champion').version}"


def test_only_a_significantly_better_model_takes_the_title(store: Store, registered: Callable[..., str]) -> None:
    popular = registered("popularity")
    assert "first of this dataset" in held(store, popular) and champion(store) == popular
    ease = registered("ease")
    said = held(store, ease)
    assert "it is the champion: +" in said and "against the one before it, models:/unblur-toys/1 (popularity)" in said
    assert champion(store) == ease
    much_the_same = registered("ease", l2=3001.0)
    assert "does not become the champion" in (said := held(store, much_the_same)) and "not significant" in said
    assert "on validation, means over 1 and 1 seed(s)" in said and "challenge 2 of this dataset" in said
    worse = registered("popularity", recent_share=0.5)
    assert "significantly worse" in (said := held(store, worse)) and "challenge 3 of this dataset, level 0.0042" in said
    assert champion(store) == ease


def test_a_decision_is_made_once(store: Store, registered: Callable[..., str]) -> None:
    popular = registered("popularity")
    said = held(store, popular)
    ease = registered("ease")
    held(store, ease)
    assert held(store, popular) == said and champion(store) == ease
    count = store.client.get_registered_model("unblur-toys").tags["unblur.challenge"]
    assert challenge_number(store, ease) == int(count) == 1, "a driver that died before the decision counts it once"
    assert challenge_number(store, popular) == 2, "the first of all challenged nobody"


LATER = communities(n_users=200, seed=1)
"""The same items and more users, some days later: other plays."""
LATER = replace(LATER, digest="later", users=np.array([f"later {user}" for user in LATER.users]))


def test_a_champion_that_is_beaten_on_new_data_loses_its_title(store: Store, registered: Callable[..., str]) -> None:
    popular = registered("popularity")
    held(store, popular)
    newer = registered("ease", LATER)
    said = challenge(store, newer, "toys", "ndcg_at_10", LATER)
    assert said.startswith("it is the champion: +") and "of 200 users" in said and champion(store) == newer
    assert "what is registered of the champion, which was trained on earlier data" in said
    assert "against the one before it, models:/unblur-toys/1 (popularity)" in said


def test_a_champion_that_is_not_beaten_on_new_data_keeps_its_title(
    store: Store, registered: Callable[..., str]
) -> None:
    ease = registered("ease")
    held(store, ease)
    said = challenge(store, registered("popularity", LATER), "toys", "ndcg_at_10", LATER)
    assert "it does not become the champion: -" in said and "significantly worse" in said and champion(store) == ease
    said = challenge(store, registered("ease", LATER), "toys", "ndcg_at_10", LATER)
    assert "it does not become the champion: " in said and "not significant" in said and champion(store) == ease


def test_a_champion_knows_items_by_their_ids(store: Store, registered: Callable[..., str]) -> None:
    """The same data with the columns in another order: the champion's values are those that were registered."""
    held(store, registered("ease"))
    order = np.random.default_rng(0).permutation(SPLIT.n_items)
    other = replace(SPLIT, digest="turned", **turned(SPLIT, order), items=SPLIT.items[order])
    said = challenge(store, registered("ease", other), "toys", "ndcg_at_10", other)
    assert "+0.0000 ndcg@10" in said and champion(store) == "models:/unblur-toys/1"


OTHERS = replace(LATER, items=np.array([f"other {item}" for item in LATER.items]))


@pytest.mark.parametrize(
    ("data", "split", "reason"),
    [
        (OTHERS, "per_user_time", "on other data altogether: it knows 0 of 40 items"),
        (LATER, "leave_one_out", "on other data, filtered or divided by other rules"),
    ],
    ids=["items", "rules"],
)
def test_what_cannot_be_compared_is_not(
    store: Store, registered: Callable[..., str], data: Dataset, split: str, reason: str
) -> None:
    first = registered("popularity")
    held(store, first)
    said = challenge(store, registered("ease", data, split), "toys", "ndcg_at_10", data)
    assert reason in said and "take the alias champion from that one" in said and champion(store) == first


def turned(dataset: Dataset, order: NDArray[np.int64]) -> dict[str, Any]:
    """Both parts with the columns in this order."""
    parts: dict[str, Any] = {}
    for name in ("train", "valid"):
        matrix, rank = getattr(dataset, name), getattr(dataset, f"{name}_rank")
        ranks = csr_matrix((rank + 1, matrix.indices, matrix.indptr), shape=matrix.shape)[:, order].tocsr()
        ranks.sort_indices()
        ones = np.ones(ranks.nnz, np.float32)
        parts[name] = csr_matrix((ones, ranks.indices, ranks.indptr), shape=ranks.shape)
        parts[f"{name}_rank"] = (ranks.data - 1).astype(np.int32)
    return parts


def test_what_is_held_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    found = []
    for seed in range(3):
        model: Any = models.model_class("diffrec")(models.configure("diffrec", {"dims": [4]}, "test"), 120, 40, seed)
        model.save(tmp_path / str(seed))
        found.append(validate(model, SPLIT).per_user())
    mean = mean_per_user([str(tmp_path / str(seed)) for seed in range(3)], SPLIT)
    assert mean.keys() == found[0].keys() and "ndcg_at_10" in mean
    for name, values in mean.items():
        np.testing.assert_allclose(values, sum(each[name] for each in found) / 3, atol=1e-7)


def test_the_levels_of_all_challenges_sum_to_less_than_the_level_of_one_test() -> None:
    """1/(k (k + 1)) = 1/k - 1/(k + 1), so that the first K sum to 1 - 1/(K + 1)."""
    sums = np.cumsum([level(number) for number in range(1, 10_001)])
    np.testing.assert_allclose(sums, 0.05 * (1 - 1 / np.arange(2, 10_002)), rtol=1e-9)
    assert 0.0499 < sums[-1] < 0.05


def test_a_challenge_is_significant_below_its_level() -> None:
    """Differences of 1.24 and -.76, 50 of each, and .24: t = .24 sqrt(101) = 2.41 on 100 degrees of freedom."""
    d = 0.24 + np.array([1.0, -1.0] * 50 + [0.0])
    found = compare(d, np.zeros(101))
    assert found.p_t == pytest.approx(2 * stats.t.sf(0.24 * np.sqrt(101), 100)) and level(2) < found.p_t < level(1)
    assert corrected(found, 1).significant and not corrected(found, 2).significant
    assert corrected(found, 2).p_holm == pytest.approx(6 * found.p_t) and corrected(found, 100).p_holm == 1


def test_a_champion_without_files_is_missed_before_anything_is_trained(
    store: Store, registered: Callable[..., str], tmp_path: Path
) -> None:
    assert expect_champion(store, "toys", SPLIT) is None, "there is none yet"
    popular = registered("popularity")
    held(store, popular)
    assert expect_champion(store, "toys", SPLIT) is None
    next((tmp_path / "mlartifacts").rglob("MLmodel")).parent.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"models:/unblur-toys/1 \(popularity\): its files are not at .*mlartifacts"):
        expect_champion(store, "toys", SPLIT)
    assert "first of this dataset" in held(store, popular), "what was decided is told without them"


def test_a_champion_of_other_data_is_told_before_anything_is_trained(
    store: Store, registered: Callable[..., str]
) -> None:
    held(store, registered("popularity", replace(SPLIT, digest="1234567890abcdef")))
    assert "models:/unblur-toys/1 is of other data than these (digest 1234567890ab)" in str(
        expect_champion(store, "toys", SPLIT)
    )
