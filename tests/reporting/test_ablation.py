"""The page of an ablation: means and spreads of exactly what was measured, drawn along the study's axis."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unblur.evaluation.measuring import keys
from unblur.experiments.ablation import Ablation, Measured
from unblur.reporting.ablation import as_frame, curves, report, write
from unblur.reporting.ablation_tables import chosen

NAMES = dict.fromkeys(("ndcg_at_10", *keys([10])))  # the study's own comes first
STUDY = Ablation(
    name="made",
    question="Which <b>form</b>?",
    figure="A paper, figure 3",
    dataset="sample",
    model="cfg_diffrec",
    grid={"form": {"raw": {}, "partial": {"condition_dropout": 0.5}}},
    inference={"guidance_scale": [0.0, 2.0]},
    x="guidance_scale",
    seeds=2,
)


def value(form: str, scale: float, seed: int, part: str) -> float:
    return 0.1 + (form == "partial") * 0.05 + scale / 100 + seed / 1000 - (part == "test") * 0.02


def measured(part: Any, forms: tuple[str, ...] = ("raw", "partial")) -> list[Measured]:
    return [
        Measured(
            {"form": form, "guidance_scale": scale},
            seed,
            part,
            dict.fromkeys(NAMES, value(form, scale, seed, part)),
            {"epoch": 5, "seconds": 60.0, "parameters": 10},
        )
        for form in forms
        for scale in (0.0, 2.0)
        for seed in (0, 1)
    ]


@pytest.mark.parametrize("parts", [["valid"], ["valid", "test"]])
def test_curves_are_the_means_and_bars_the_deviations_over_seeds(parts: list[str]) -> None:
    frame = as_frame(STUDY, [each for part in parts for each in reversed(measured(part))])
    _, *sections = report(STUDY, frame).sections
    assert len(sections) == len(parts), "the test set is shown only when it was opened"
    for part, section in zip(parts, sections, strict=True):
        assert [plot.id for plot in section.plots] == [f"{part}-{name}" for name in NAMES]
        drawn = section.plots[0].figure.axes[0].containers
        assert [each.get_label() for each in drawn] == ["partial", "raw"]
        for (line, _, (bars,)), form in zip(drawn, ("partial", "raw"), strict=True):
            means = [value(form, scale, 0, part) + 0.0005 for scale in (0.0, 2.0)]
            assert line.get_xydata().tolist() == [pytest.approx(each) for each in zip((0.0, 2.0), means, strict=True)]
            heights = [np.diff(bar[:, 1]).item() for bar in bars.get_segments()]
            assert heights == pytest.approx([2 * 0.001 / 2**0.5] * 2)
        along, every = section.tables
        assert along.columns == ["form", "0", "2"]
        assert [row[0] for row in along.rows] == ["partial", "raw"]
        assert along.rows[0][2] == f"{value('partial', 2, 0, part) + 0.0005:.4f} ± 0.0007"
        assert [row[:3] for row in every.rows] == [
            [form, scale, "2"] for form in ("partial", "raw") for scale in ("2", "0")
        ]


def test_what_validation_chooses_is_told_with_its_test_figures() -> None:
    """Also where the test set knows better: nothing is chosen by it."""

    def drawn(part: Any, better: float) -> list[Measured]:
        results = measured(part)
        return [
            Measured(each.labels, each.seed, part, {**each.metrics, "ndcg_at_10": 0.3}, each.facts)
            if each.labels["guidance_scale"] == better
            else each
            for each in results
        ]

    results = drawn("valid", 0.0) + drawn("test", 2.0)
    table = chosen(STUDY, as_frame(STUDY, results))
    assert [row[:3] for row in table.rows] == [[form, "0", "0.3000 ± 0.0000"] for form in ("raw", "partial")]
    assert [row[3] for row in table.rows] == ["0.0805 ± 0.0007", "0.1305 ± 0.0007"]
    untested = chosen(STUDY, as_frame(STUDY, drawn("valid", 0.0)))
    assert all(row[3:] == ["–"] * len(NAMES) for row in untested.rows)
    single = STUDY.model_copy(update={"grid": {}})
    raw = [Measured({"guidance_scale": s}, 0, "valid", {"ndcg_at_10": s}) for s in (0.0, 2.0)]
    assert [row[:2] for row in chosen(single, as_frame(single, raw)).rows] == [["2", "2.00"]]


def test_nobody_chooses_the_share_of_noise() -> None:
    grid = {"form": STUDY.grid["form"], "protocol_share": [0.0, 0.5]}
    noisy = STUDY.model_copy(update={"grid": grid, "inference": {}, "x": "protocol_share"})
    results = [
        Measured({"form": form, "protocol_share": share}, 0, "valid", {"ndcg_at_10": 1 - share + (form == "partial")})
        for form in ("raw", "partial")
        for share in (0.0, 0.5)
    ]
    assert [row[:2] for row in chosen(noisy, as_frame(noisy, results)).rows] == [["partial", "0"], ["partial", "0.5"]]


def test_what_is_not_done_yet_is_told() -> None:
    frame = as_frame(STUDY, measured("valid", forms=("raw",)))
    assert "2 of 4 trainings are not done yet." in report(STUDY, frame).reservations
    assert "4 of 4 trainings are not done yet." in report(STUDY, as_frame(STUDY, [])).reservations
    whole = report(STUDY, as_frame(STUDY, measured("valid")))
    assert not any("not done" in each for each in whole.reservations)
    assert "Repeats A paper, figure 3." in whole.verdict


def test_an_axis_of_names_keeps_its_order(tmp_path: Path) -> None:
    study = STUDY.model_copy(update={"x": "form"})
    (axes,) = report(study, as_frame(study, measured("valid"))).sections[1].plots[0].figure.axes
    assert [(each.get_label(), list(each[0].get_xdata())) for each in axes.containers] == [
        ("guidance_scale 0", ["raw", "partial"]),
        ("guidance_scale 2", ["raw", "partial"]),
    ]


def test_curves_are_drawn_where_the_values_are(tmp_path: Path) -> None:
    """Lines by their names, a model without a swept parameter without it, parts apart, the same file each time."""
    grid: dict[str, Any] = {"of": {"EASE": {"model": "ease"}, "guided": {}}}
    study = STUDY.model_copy(update={"grid": grid, "newest": [0, 5, "all"], "x": "newest"})
    results = [
        Measured({"of": name, **scale, "newest": newest}, seed, "valid", {"ndcg_at_10": value, "coverage_at_10": 0.5})
        for name, scales, seeds in (("EASE", [{}], 1), ("guided", [{"guidance_scale": 2.0}], 2))
        for scale in scales
        for newest, value in ((0, 0.1), (5, 0.2), ("all", 0.3))
        for seed in range(seeds)
    ]
    write(study, results, tmp_path / "made.html")
    (file,) = tmp_path.glob("*.svg")
    drawn = file.read_text()
    assert file.name == "made.valid.svg" and len(drawn) < 60_000
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"EASE", "guided, guidance_scale 2", "nDCG@10", "coverage@10", "newest", "0", "5", "all"} <= set(texts)
    frame = as_frame(study, results)
    write(study, results, tmp_path / "again.html")
    assert (tmp_path / "again.valid.svg").read_text() == drawn
    accuracy, coverage = curves(study, frame).axes
    for line in accuracy.lines:
        assert line.get_xydata().tolist() == [[0, pytest.approx(0.1)], [1, pytest.approx(0.2)], [2, pytest.approx(0.3)]]
    assert all(set(line.get_ydata()) == {0.5} for line in coverage.lines)
    write(study, [each for each in results if each.labels["of"] == "EASE"], tmp_path / "begun.html")
    assert "guidance" not in (tmp_path / "begun.valid.svg").read_text(), "nothing of it is trained yet"
    numbers = curves(STUDY, as_frame(STUDY, measured("valid"))).axes[0].lines[0]
    assert list(numbers.get_xdata()) == [0.0, 2.0]


def test_page_csv_and_markdown_hold_every_measurement(tmp_path: Path) -> None:
    results = measured("valid") + measured("test")
    write(STUDY, results, tmp_path / "made.html")
    frame = pd.read_csv(tmp_path / "made.csv")
    assert len(frame) == len(results)
    for row, each in zip(frame.itertuples(), results, strict=True):
        assert (row.form, row.guidance_scale, row.seed, row.part) == (*each.labels.values(), each.seed, each.part)
        assert row.ndcg_at_10 == pytest.approx(each.metrics["ndcg_at_10"])
    assert "Which &lt;b&gt;form&lt;/b&gt;?" in (tmp_path / "made.html").read_text()
    told = (tmp_path / "made.md").read_text()
    assert "| form | 0 | 2 |" in told
    assert "## Chosen on validation" in told
