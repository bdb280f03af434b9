"""The last words of a job over several models."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from unblur.experiments.results import tell_comparison


@pytest.mark.parametrize(
    ("std", "said"), [(None, ["0.0300", "0.0200"]), (0.001, ["0.0300 ± 0.0010", "0.0200 ± 0.0010"])]
)
def test_the_best_comes_first_and_one_seed_has_no_spread(std: float | None, said: list[str]) -> None:
    session: Any = SimpleNamespace(
        options=SimpleNamespace(metric="ndcg@10", tracking_uri=None),
        plan=SimpleNamespace(metric="ndcg_at_10"),
        dataset_name="sample",
    )
    one = {"best": {"valid": 0.1}, "trials": {"complete": 2}, "seconds": {"search": 1.0, "retrain": 2.0}}
    found = {
        name: {**one, "test": {"ndcg_at_10": {"mean": mean, "std": std}}}
        for name, mean in (("ease", 0.02), ("diffrec", 0.03))
    }
    told = io.StringIO()
    tell_comparison(session, found, Console(file=told, width=120))
    rows = [line for line in told.getvalue().splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == ["diffrec", "ease"]
    assert [row.split("│")[4].strip() for row in rows] == said
