"""What the figures draw."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from unblur.data.presets import PRESETS
from unblur.evaluation.measuring import keys
from unblur.reporting import papers
from unblur.reporting.guidance import response
from unblur.reporting.leaderboard import leaderboard
from unblur.reporting.loading import load
from unblur.reporting.parallel import BOTTOM, axis, parallel
from unblur.reporting.parameter_importance import Importance, importance
from unblur.reporting.plots import result_plots
from unblur.reporting.runs import StudyRuns, Trial
from unblur.reporting.search_plots import learning_curves, search_history, slices, timeline
from unblur.reporting.tables import best_params, trials
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader


@pytest.fixture(scope="module")
def studies(toys: Store) -> dict[str, StudyRuns]:
    return {study.model: study for study in load(Reader(toys), "amazon_toys", "clean").studies}


@pytest.fixture(scope="module")
def study(studies: dict[str, StudyRuns]) -> StudyRuns:
    return studies["diffrec"]


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


def test_importance_says_whether_it_knows_what_mattered() -> None:
    names = [f"p{n}" for n in range(5)]
    assert Importance().first(names, 5) == (names, "")
    assert Importance().first(names, 2)[1] == " 2 of 5 parameters: too few trials ended to say which matter most."
    known = Importance({"p3": 0.7, "p1": 0.3}).first(names, 2)
    assert known == (["p3", "p1"], " The 2 parameters that mattered most of 5.")


def test_search_history_is_the_trials(study: StudyRuns) -> None:
    plot = search_history([study])
    assert plot is not None
    (axes,) = plot.figure.axes
    drawn = {(x, y) for points in axes.collections for x, y in points.get_offsets().tolist()}
    assert drawn == {(trial.number, trial.value) for trial in study.trials}
    assert len(axes.collections[1].get_offsets()) == sum(trial.state == "pruned" for trial in study.trials) > 0
    complete = [trial.value if trial.state == "complete" else 0.0 for trial in study.trials]
    assert axes.lines[0].get_ydata().tolist() == np.maximum.accumulate(complete).tolist()


def test_history_has_no_best_before_a_trial_is_complete(study: StudyRuns) -> None:
    first, second = made_trials(2)
    plot = search_history([replace(study, trials=[replace(first, state="pruned"), second])])
    assert plot is not None
    best = plot.figure.axes[0].lines[0].get_ydata()
    assert np.isnan(best[0]) and best[1] == second.value


def test_the_response_to_guidance_is_that_of_the_final_networks(studies: dict[str, StudyRuns]) -> None:
    plot = response(studies["cfg_diffrec"])
    assert plot is not None and response(studies["diffrec"]) is None
    accuracy, coverage = plot.figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in accuracy.lines[:2]}
    scales = (0.0, 1.0, 2.0, 4.0)
    for noise in (0.0, 0.5):
        expected = [[scale, 0.2 - 0.01 * abs(scale - 2) - 0.05 * noise] for scale in scales]
        assert lines[f"t_prime_share {noise:g}"] == [pytest.approx(each) for each in expected]
    assert coverage.lines[0].get_ydata().tolist() == pytest.approx([0.1 * scale + 0.01 for scale in scales])
    assert plot.table is not None and len(plot.table.rows) == 8
    assert plot.table.rows[5] == ["0.5", "1", "0.1650", "0.1100"]


def test_many_lines_of_a_response_are_the_best_ones(study: StudyRuns) -> None:
    rows = [
        {"seed": 0, "expert_weight": weight, "guidance_scale": scale, "ndcg_at_10": weight / 10}
        for weight in range(9)
        for scale in (0.0, 1.0)
    ]
    plot = response(replace(study, sweep=pd.DataFrame(rows)))
    assert plot is not None and "The best 6 of 9 lines; the table has all." in plot.caption
    labels = [line.get_label() for line in plot.figure.axes[0].lines[:6]]
    assert labels == [f"expert_weight {weight}" for weight in (8, 7, 6, 5, 4, 3)]
    assert plot.table is not None and len(plot.table.rows) == 18


def test_what_was_swept_is_drawn_and_told_beside_what_was_drawn(study: StudyRuns) -> None:
    scales = [1.0, 2.0, 2.0]
    trials = [
        replace(trial, inference={"guidance_scale": scale, "sampler": "ddim"})
        for trial, scale in zip(made_trials(3), scales, strict=True)
    ]
    lines = parallel(replace(study, trials=trials), Importance())
    assert lines is not None
    assert "guidance_scale" in [label.get_text() for label in lines.figure.axes[0].get_xticklabels()]
    by_seed = zip(study.finals, (1.0, 2.0, 1.0), strict=True)
    finals = [replace(each, inference={"guidance_scale": scale, "sampler": "ddim"}) for each, scale in by_seed]
    rows = dict(best_params(replace(study, finals=finals)).rows)
    assert rows["guidance_scale (of inference, by seed)"] == "1.0, 2.0, 1.0"
    assert rows["sampler (of inference, by seed)"] == "ddim"


def test_a_slice_for_each_parameter_that_varies(study: StudyRuns) -> None:
    trials = made_trials(5)
    plot = slices(replace(study, trials=trials), Importance())
    assert plot is not None
    panels = {axes.get_title(): axes for axes in plot.figure.axes}
    assert list(panels) == ["lr", "kind", "noise"]  # not what is the same for all
    noise = {tuple(point) for point in panels["noise"].collections[0].get_offsets().tolist()}
    low, high = (f(trial.params["noise"] for trial in trials) for f in (min, max))
    expected = {((trial.params["noise"] - low) / (high - low), trial.value) for trial in trials}
    assert sorted(noise) == [pytest.approx(each) for each in sorted(expected)]
    assert slices(replace(study, trials=trials[:1]), Importance()) is None


def test_learning_curves_are_the_epochs_of_each_trial(studies: dict[str, StudyRuns]) -> None:
    study = studies["diffrec"]
    plot = learning_curves(study)
    assert plot is not None
    curves = {tuple(map(tuple, line.get_xydata().tolist())) for line in plot.figure.axes[0].lines}
    assert curves == {((5, trial.value), (10, trial.value / 2)) for trial in study.trials if trial.value}
    assert learning_curves(replace(study, trials=made_trials(3))) is None  # fitted at once


def test_the_timeline_has_each_trial_from_start_to_end(study: StudyRuns) -> None:
    times = [(1000.0, 1060.0), (1030.0, 1150.0), (1060.0, 1061.0)]
    trials = [
        replace(trial, started=started, ended=ended)
        for trial, (started, ended) in zip(made_trials(3), times, strict=True)
    ]
    plot = timeline(replace(study, trials=trials))
    assert plot is not None
    bars = [segment.tolist() for segment in plot.figure.axes[0].collections[0].get_segments()]
    assert [[x for x, _ in bar] for bar in bars] == [[0, 1], [0.5, 2.5], [1, pytest.approx(61 / 60)]]
    assert [bar[0][1] for bar in bars] == [0, 1, 2]


def test_the_table_of_trials_is_what_the_figures_draw(studies: dict[str, StudyRuns]) -> None:
    study = studies["diffrec"]
    table = trials(study)
    values = [float(row[2]) for row in table.rows]
    assert table.folded and values == sorted(values, reverse=True) and len(values) == len(study.trials)
    best = study.trials[int(table.rows[0][0])]
    assert table.rows[0][:5] == [str(best.number), "complete", f"{best.value:.4f}", "5", "10"]
    assert table.rows[0][table.columns.index("lr")] == f"{best.params['lr']:g}"


def test_validation_against_test_has_a_dot_for_each_model(studies: dict[str, StudyRuns]) -> None:
    board = leaderboard(list(studies.values()), "ndcg_at_10")
    plot = next(plot for plot in result_plots(board, []) if plot.id == "validation")
    dots = [tuple(points.get_offsets()[0]) for points in plot.figure.axes[0].collections]
    assert dots == [(row.study.chosen_value(), row.mean) for row in board.rows]


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
    assert plot.figure.axes[0].patches[0].get_height() == pytest.approx(first["ndcg_at_10"].mean())


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
