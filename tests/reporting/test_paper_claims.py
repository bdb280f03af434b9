"""A row against the one that its paper says it beats."""

import pytest
from tests.helpers.made_rows import PRESET

from unblur.experiments.paper_rows import Preset, Reproduction
from unblur.reporting.paper_claims import claims, tables
from unblur.reporting.paper_rows import report

PLAIN = PRESET.model_copy(update={"name": "plain"})
GUIDED = PLAIN.model_copy(
    update={"name": "guided", "against": "plain", "expected": {"ndcg@10": 0.11, "recall@20": 0.19}}
)


def done(preset: Preset, ndcg: tuple[float, ...], recall: tuple[float, ...]) -> Reproduction:
    return Reproduction(preset, "done", test={"ndcg_at_10": ndcg, "recall_at_20": recall})


def test_ahead_and_behind_are_counted_with_their_significance() -> None:
    plain = done(PLAIN, (0.099, 0.100, 0.101), (0.19, 0.20, 0.21))
    guided = done(GUIDED, (0.089, 0.090, 0.091), (0.20, 0.21, 0.22))
    (claim,) = claims([guided, plain])
    assert claim.ours == {"ndcg@10": pytest.approx(-0.1), "recall@20": pytest.approx(0.05)}
    assert claim.papers == {"ndcg@10": pytest.approx(0.1), "recall@20": pytest.approx(-0.05)}
    # t = 10 / sqrt(2 / 3) with 4 degrees of freedom: p = .00026, doubled by Holm; the other's t is a tenth, p = .288
    assert claim.p == {"ndcg@10": pytest.approx(0.00051, abs=1e-5), "recall@20": pytest.approx(0.2879, abs=1e-4)}
    counts, gains = tables([guided, plain])
    assert counts.rows == [["guided", "plain", "2", "1, 0 of them significant", "1, 1 of them significant", "1"]]
    assert gains.rows == [
        ["guided", "ndcg@10", "-10.0%", "< 0.001", "+10.0%"],
        ["guided", "recall@20", "+5.0%", "0.288", "-5.0%"],
    ]
    assert counts in [section.tables[0] for section in report([guided, plain]).sections]


def test_one_seed_has_no_significance() -> None:
    counts, gains = tables([done(GUIDED, (0.1,), (0.3,)), done(PLAIN, (0.1,), (0.2,))])
    assert counts.rows == [["guided", "plain", "2", "1", "0", "1"]]
    assert [row[3] for row in gains.rows] == ["–", "–"]


@pytest.mark.parametrize("other", [None, Reproduction(PLAIN), Reproduction(PLAIN, "failed", "nan")])
def test_nothing_is_claimed_of_a_row_whose_other_is_not_done(other: Reproduction | None) -> None:
    assert tables([done(GUIDED, (0.1, 0.2), (0.1, 0.2)), *([other] if other else [])]) == []
