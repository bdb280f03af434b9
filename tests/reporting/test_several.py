"""The report over several datasets: ranks, families and validation on studies with a known answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.helpers.made_studies import Made, write_study

from unblur.errors import UserError
from unblur.evaluation.significance import holm
from unblur.reporting.loading import load
from unblur.reporting.options import ReportOptions
from unblur.reporting.page import to_html, to_markdown
from unblur.reporting.report import report
from unblur.reporting.several import Several
from unblur.reporting.several_page import SeveralResult, build
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader
from unblur.tracking.runs import LoggedDataset

LEVELS = {
    "toys": {"ease": 0.05, "slist": 0.09, "diffrec": 0.065, "cfg_diffrec": 0.02},
    "beauty": {"ease": 0.05, "slist": 0.07, "diffrec": 0.1, "cfg_diffrec": 0.02},
    "tools": {"ease": 0.05, "slist": 0.08, "diffrec": 0.04, "cfg_diffrec": 0.03, "sasrec": 0.2},
}
RANKS = {"slist": [1, 2, 1], "diffrec": [2, 1, 3], "ease": [3, 3, 2], "cfg_diffrec": [4, 4, 4]}
"""Without sasrec, which was tested on one of them alone."""


@pytest.fixture(scope="module")
def store(new_store: Callable[..., Store], tmp_path_factory: pytest.TempPathFactory) -> Store:
    store, folder = new_store([]), tmp_path_factory.mktemp("several")
    for number, (name, levels) in enumerate(LEVELS.items()):
        dataset = LoggedDataset(name, f"{number}a" * 32, {})
        for model, level in levels.items():
            write_study(store, Made(model, level, seeds=1, dataset=dataset), folder / name, f"{name}/clean")
    return store


@pytest.fixture(scope="module")
def several(store: Store) -> Several:
    return Several([load(Reader(store), name, "clean") for name in ("toys", "beauty", "tools")])


def test_models_are_ranked_where_all_of_them_were_tested(several: Several) -> None:
    found = several.standings
    assert {m: found.by_dataset[:, i].tolist() for i, m in enumerate(found.models)} == RANKS
    assert found.models[0] == "slist" and found.average == pytest.approx([4 / 3, 2, 8 / 3, 4])
    assert found.missing == {"sasrec": ["toys", "beauty"]}
    assert found.difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 3)), abs=1e-3)
    assert found.level_with_best == ["diffrec", "ease", "cfg_diffrec"]
    assert found.p == pytest.approx(stats.friedmanchisquare(*np.array(list(RANKS.values()))).pvalue)


def test_the_best_of_each_family_by_validation_are_compared_over_users(several: Several) -> None:
    pairs = [(duel.dataset, duel.diffusion.model, duel.baseline.model) for duel in several.duels]
    assert pairs == [("toys", "diffrec", "slist"), ("beauty", "diffrec", "slist"), ("tools", "diffrec", "sasrec")]
    p_values = []
    for duel, board in zip(several.duels, several.boards, strict=True):
        users = [row.study.per_user for row in (duel.diffusion, duel.baseline)]
        one, other = (each["ndcg_at_10"].to_numpy(np.float64) for each in users if each is not None)
        p_values.append(stats.ttest_rel(one, other).pvalue)
        assert duel.found is not None and duel.found.difference == pytest.approx((one - other).mean())
        spread = (one - other).std(ddof=1) / np.sqrt(len(one))
        assert duel.found.detectable == pytest.approx((1.959964 + 0.841621) * spread, rel=1e-5)
        assert board.row(duel.baseline.model) is duel.baseline
    found = [duel.found.p_holm for duel in several.duels if duel.found]
    assert found == pytest.approx(holm(p_values).tolist())


def test_what_validation_was_worth(several: Several) -> None:
    """Made-up trials have validation 0.1 + level + a draw that is the same for all, so that it orders as the test."""
    assert [each.taken.model for each in several.choices] == ["slist", "diffrec", "sasrec"]
    assert all(each.cost == 0 for each in several.choices)
    for each in several.trust:
        assert each.ranks[0] == each.ranks[1] and each.final is None and each.luck is None
        assert each.kept == pytest.approx(each.row.mean / each.chosen)


def test_the_page(several: Several) -> None:
    page = build(several)
    ranked, families, choices = page.verdict
    assert ranked.startswith("Of 4 models tested on all of 3 datasets slist has the best average rank, 1.33, not sign")
    assert (
        "(Nemenyi, critical difference 2.71; to tell models apart that lie one rank from each other takes 22" in ranked
    )
    assert "ahead of the best baseline by validation on 1 of 3 datasets, significantly on beauty" in families
    assert "behind on 2, significantly on toys, tools" in families
    assert choices == "The model best on validation is best on the test on 3 of 3."
    assert "Not ranked, since it was not tested on toys, beauty: sasrec." in page.reservations
    markdown = to_markdown(page)
    assert "| slist | 1.33 | 1 | 2 | 1 |" in markdown and "## Can validation be trusted?" in markdown
    assert "| toys: slist | 0.06 | 0.02 |" in markdown and "## What it costs" in markdown
    assert to_html(page).count("<table") == 4


def test_two_datasets_say_that_ranks_show_nothing_yet(several: Several) -> None:
    (ranked, *_) = build(Several(several.evidence[:2])).verdict
    assert "cannot be told apart before 3 datasets (critical difference 3.32)" in ranked


def test_the_command_takes_several_and_names_what_is_wrong(store: Store, tmp_path: Path) -> None:
    found = report(
        ReportOptions(dataset="toys, beauty", tracking_uri=store.uri, output=None, markdown=tmp_path / "t.md")
    )
    assert isinstance(found, SeveralResult) and "## Ranks over datasets" in (tmp_path / "t.md").read_text()
    frame = found.frame()
    assert frame[["dataset", "model"]].drop_duplicates().shape[0] == len(frame) == 8
    assert set(frame.columns) >= {"metric", "validation", "test", "validation_rank", "test_rank"}
    with pytest.raises(UserError, match="no experiment 'kitchen/clean'"):
        report(ReportOptions(dataset="toys,kitchen", tracking_uri=store.uri, output=None))
    for wrong, message in (("toys,toys", "names toys more than once"), ("toys,", "a name missing beside a comma")):
        with pytest.raises(UserError, match=message):
            ReportOptions(dataset=wrong)
