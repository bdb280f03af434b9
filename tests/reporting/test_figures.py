"""What the figures draw."""

from dataclasses import replace

import numpy as np
import pytest

from unblur.data.presets import PRESETS
from unblur.evaluation.measuring import keys
from unblur.reporting import papers
from unblur.reporting.leaderboard import leaderboard
from unblur.reporting.loading import load
from unblur.reporting.parallel import BOTTOM, axis, parallel
from unblur.reporting.parameter_importance import Importance, importance
from unblur.reporting.plots import result_plots
from unblur.reporting.runs import StudyRuns, Trial
from unblur.reporting.search_plots import guidance, search_history
from unblur.reporting.tables import best_params
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader


@pytest.fixture(scope="module")
def study(toys: Store) -> StudyRuns:
    return load(Reader(toys), "amazon_toys", "clean").studies[0]


def made_trials(n: int) -> list[Trial]:
    """lr decides (logarithmically), the kind a little, the rest is noise."""
    random = np.random.default_rng(0)
    trials = []
    for number in range(n):
        lr, kind, noise = 10 ** random.uniform(-5, -1), random.choice(["a", "b"]), float(random.uniform())
        value = -((np.log10(lr) + 3) ** 2) + 0.3 * (kind == "a")
        params = {"lr": float(lr), "kind": str(kind), "noise": noise, "fixed": 7}
        trials.append(Trial(number, "complete", params, float(value), 1.0))
    return trials


def test_importance_finds_what_mattered(study: StudyRuns) -> None:
    found = importance(replace(study, trials=made_trials(150)))
    assert next(iter(found.shares)) == "lr" and found.shares["lr"] > 0.8
    assert set(found.shares) == {"lr", "kind", "noise"} and sum(found.shares.values()) == pytest.approx(1)
    assert importance(replace(study, trials=made_trials(4))).shares == {}


def test_importance_leaves_conditional_parameters_out_and_says_so(study: StudyRuns) -> None:
    trials = made_trials(40)
    trials[3].params["rare"] = 1
    found = importance(replace(study, trials=trials))
    assert "rare" not in found.shares and "without rare, which not every trial has" in found.caption


def test_search_history_is_the_trials(study: StudyRuns) -> None:
    plot = search_history([study])
    assert plot is not None
    points, line = plot.figure.data
    assert list(points.y) == [trial.value for trial in study.trials]
    complete = [trial.value if trial.state == "complete" else 0.0 for trial in study.trials]
    assert list(line.y) == np.maximum.accumulate(complete).tolist()


def test_guidance_draws_scale_against_value(study: StudyRuns) -> None:
    plot = guidance(study)
    assert plot is not None
    assert list(plot.figure.data[0].x) == [trial.params["guidance_scale"] for trial in study.trials]
    assert guidance(replace(study, trials=made_trials(9))) is None


def test_what_was_swept_is_drawn_and_told_beside_what_was_drawn(study: StudyRuns) -> None:
    scales = [1.0, 2.0, 2.0]
    trials = [
        replace(trial, inference={"guidance_scale": scale, "sampler": "ddim"})
        for trial, scale in zip(made_trials(3), scales, strict=True)
    ]
    plot = guidance(replace(study, trials=trials))
    assert plot is not None and list(plot.figure.data[0].x) == scales
    assert "Each trial is shown at the scale that was best for it." in plot.caption
    lines = parallel(replace(study, trials=trials), Importance())
    assert lines is not None and "guidance_scale" in lines.figure.layout.xaxis.ticktext
    by_seed = zip(study.finals, (1.0, 2.0, 1.0), strict=True)
    finals = [replace(each, inference={"guidance_scale": scale, "sampler": "ddim"}) for each, scale in by_seed]
    rows = dict(best_params(replace(study, finals=finals)).rows)
    assert rows["guidance_scale (of inference, by seed)"] == "1.0, 2.0, 1.0"
    assert rows["sampler (of inference, by seed)"] == "ddim"


def test_axes_of_parallel_coordinates() -> None:
    log = axis("lr", [1e-5, 1e-3, 1e-1, None])
    assert log.places == pytest.approx([0, 0.5, 1, BOTTOM]) and log.ticks[0] == (BOTTOM, "unset")
    assert log.ticks[1:][::2] == [(0.0, "1e-05"), (0.5, "0.001"), (1.0, "0.1")]
    assert axis("T", [1, 3, 5]).places == [0, 0.5, 1]
    assert axis("normalize", [True, False]).ticks == [(0.0, "False"), (1.0, "True")]
    assert axis("constant", [2.0, 2.0]).places == [0, 0]


def test_groups_of_users_are_means_of_the_same_users(study: StudyRuns) -> None:
    board = leaderboard([study], "ndcg_at_10")
    plot = next(plot for plot in result_plots(board, []) if plot.id == "groups")
    frame = study.per_user
    assert frame is not None
    first = frame[frame["n_relevant"] <= frame["n_relevant"].quantile(0.25)]
    assert plot.figure.data[0].y[0] == pytest.approx(first["ndcg_at_10"].mean())


def test_papers_figures_fit_our_names(study: StudyRuns) -> None:
    names = set(keys())
    for each in papers.published():
        assert each.dataset in PRESETS and each.metric in names and 0 <= each.value < 1
    table_2 = {
        (each.dataset, each.model): each.value
        for each in papers.published()
        if each.metric == "ndcg_at_10" and "Table 2" in each.source
    }
    assert table_2["diffrec_ml_1m_clean", "diffrec"] == 0.0901
    assert len({model for _, model in table_2}) == 8
    ours = replace(study, model="lightgcn", finals=[replace(study.finals[0], metrics={"test/ndcg_at_10": 0.09})])
    (beside,) = papers.beside([ours], "diffrec_ml_1m_clean", "clean", ["ndcg_at_10"])
    assert beside.published.name == "LightGCN"
    assert papers.beside([ours], "diffrec_ml_1m_clean", "noisy_random", ["ndcg_at_10"]) == []
