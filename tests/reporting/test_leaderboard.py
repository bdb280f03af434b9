"""Who differs from whom, on per-user results with a known answer, held against scipy."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.helpers.made_studies import Made

from unblur import models
from unblur.reporting.leaderboard import leaderboard
from unblur.reporting.loading import load
from unblur.reporting.runs import StudyRuns
from unblur.reporting.tables import comparisons
from unblur.reporting.verdict import is_diffusion, reservations, verdict
from unblur.tracking.client import Store
from unblur.tracking.reader import Reader

PAIRS = 6  # of four models


def with_seeds(study: StudyRuns, values: Sequence[float]) -> StudyRuns:
    """The study with final runs that tested so."""
    return replace(study, finals=[replace(study.finals[0], metrics={"test/ndcg_at_10": value}) for value in values])


def test_figures_are_mlflows(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    board = leaderboard(evidence.studies, "ndcg_at_10")
    experiment = toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id
    for run in toys.client.search_runs([experiment], "tags.`unblur.kind` = 'study'"):
        row = board.row(run.data.tags["unblur.model"])
        assert row is not None
        assert row.mean == run.data.metrics["test/ndcg_at_10"]
        assert row.std == run.data.metrics["test/ndcg_at_10_std"]
        values = json.loads(Path(toys.client.download_artifacts(run.info.run_id, "values.json")).read_text())
        assert row.values == values["test/ndcg_at_10"]
        assert row.interval is not None and row.interval[0] < row.mean < row.interval[1]
        assert [each.metrics["test/ndcg_at_10"] for each in row.study.finals] == row.values
    assert [row.mean for row in board.rows] == sorted((row.mean for row in board.rows), reverse=True)


def test_groups_and_corrected_p_values(toys: Store) -> None:
    studies = load(Reader(toys), "amazon_toys", "clean").studies
    board = leaderboard(studies, "ndcg_at_10")
    assert {row.model: row.group for row in board.rows} == {
        "ease": "a",
        "diffrec": "b",
        "cfg_diffrec": "b",
        "multi_dae": "c",
    }
    users = {study.model: study.per_user for study in studies}
    one, other = users["cfg_diffrec"], users["diffrec"]
    assert one is not None and other is not None and len(one) == board.n_users == 400
    p = stats.ttest_rel(one["ndcg_at_10"], other["ndcg_at_10"]).pvalue
    found = board.compare("cfg_diffrec", "diffrec")
    assert found is not None and not found.significant
    assert found.p_t == pytest.approx(p) and found.p_holm == pytest.approx(p)  # the largest of all is not raised
    assert board.n_pairs == PAIRS
    ahead = board.compare("ease", "multi_dae")
    assert ahead is not None and ahead.significant and ahead.difference == pytest.approx(0.09, abs=0.005)
    seeds = [row.values for row in board.rows if row.model in {"cfg_diffrec", "diffrec"}]
    assert board.p_seeds("cfg_diffrec", "diffrec") == pytest.approx(stats.ttest_ind(*seeds, equal_var=False).pvalue)


def test_verdict(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    board = leaderboard(evidence.studies, "ndcg_at_10")
    first, guidance, families = verdict(evidence, board)
    assert first.startswith("On amazon_toys (clean) ease is significantly ahead of all others, with nDCG@10 0.4")
    assert guidance.startswith("Guidance (cfg_diffrec) loses 0.1% against diffrec, not significant (p = 0.")
    values = {study.model: study.tests["coverage_at_10"] for study in evidence.studies}
    plain, guided = values["diffrec"], values["cfg_diffrec"]
    assert f"; coverage@10 goes from {np.mean(plain):.3f} to {np.mean(guided):.3f} (over seeds p " in guidance
    assert families.startswith("The best baseline, ease, is 10.0% better than the best diffusion model, diffrec: sig")
    said = reservations(evidence, board)
    assert "At the test the models saw the training part of each user's history (history train)." in said
    assert "Budgets differ in trials: cfg_diffrec 12, ease 6, diffrec 6, multi_dae 6." in said


def test_every_guided_model_and_every_diffusion_model_counts(new_store: Callable[[Sequence[Made]], Store]) -> None:
    made = [Made("diffrec", 0.05), Made("cfg_diffrec", 0.06), Made("generative_cfg", 0.08), Made("ease", 0.07)]
    evidence = load(Reader(new_store(made)), "amazon_toys", "clean")
    board = leaderboard(evidence.studies, "ndcg_at_10")
    _, cfg, generative, families = verdict(evidence, board)
    assert cfg.startswith("Guidance (cfg_diffrec) gains") and generative.startswith("Guidance (generative_cfg) gains")
    assert families.startswith("The best diffusion model, generative_cfg, is")
    assert [row[0] for row in comparisons(board).rows][-1] == "cfg_diffrec − diffrec", "the best one's stand above"
    family = {name for name in models.names() if is_diffusion(name)}
    assert {"codigem", "diffrec", "gaussian_cfg", "generative_cfg", "l_diffrec"} <= family
    assert not family & {"ease", "multi_vae", "sasrec", "slist"}
    assert not is_diffusion("of_another_version")


def test_significant_over_users_but_not_over_seeds(toys: Store) -> None:
    """Seeds that scatter more than the models differ are told, however certain the users make it."""
    evidence = load(Reader(toys), "amazon_toys", "clean")
    wild = [0.2, 0.7, 0.4]
    studies = [with_seeds(study, wild) if study.model == "ease" else study for study in evidence.studies]
    said = verdict(evidence, leaderboard(studies, "ndcg_at_10"))
    assert "but within the spread of seeds" in said[-1]


def test_users_are_paired_by_name(toys: Store) -> None:
    """The order of rows does not matter, and users that one model lacks are left out for all."""
    studies = load(Reader(toys), "amazon_toys", "clean").studies
    whole = leaderboard(studies, "ndcg_at_10").compare("ease", "diffrec")
    assert studies[0].per_user is not None
    shuffled = replace(studies[0], per_user=studies[0].per_user.sample(frac=1, random_state=0))
    again = leaderboard([shuffled, *studies[1:]], "ndcg_at_10").compare("ease", "diffrec")
    assert whole is not None and again is not None and again.p_t == pytest.approx(whole.p_t)
    fewer = replace(studies[0], per_user=studies[0].per_user.iloc[:300])
    assert leaderboard([fewer, *studies[1:]], "ndcg_at_10").n_users == 300


def test_equal_models_and_missing_users(toys: Store) -> None:
    study = load(Reader(toys), "amazon_toys", "clean").studies[0]
    twin = replace(study, model="twin")
    board = leaderboard([study, twin, replace(study, model="blind", per_user=None)], "ndcg_at_10")
    found = board.compare("twin", study.model)
    assert found is not None and found.difference == 0 and found.p_holm == 1
    assert board.compare("blind", "twin") is None
    blind = board.row("blind")
    assert blind is not None and blind.group == "" and blind.interval is None
    assert np.isfinite(blind.mean)


def test_nothing_is_claimed_that_was_not_tested(toys: Store) -> None:
    evidence = load(Reader(toys), "amazon_toys", "clean")
    studies = [replace(each, per_user=None) if each.model == "multi_dae" else each for each in evidence.studies]
    first = verdict(evidence, leaderboard(studies, "ndcg_at_10"))[0]
    assert first.startswith("On amazon_toys (clean) ease comes first with") and "untested against multi_dae." in first
    single = [with_seeds(each, [each.test("ndcg_at_10")]) for each in evidence.studies]
    said = reservations(evidence, leaderboard(single, "ndcg_at_10"))
    assert any("A single seed may be luck" in each for each in said)
