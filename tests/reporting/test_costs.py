"""What the report says of cost: hours and energy that were measured or estimated, money at the reader's price."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.helpers.made_studies import Made

from unblur.energy import ASSUMED, LIMIT, RATED
from unblur.errors import UserError
from unblur.reporting.costs import Cost, Prices, costs
from unblur.reporting.options import ReportOptions
from unblur.reporting.report import report
from unblur.reporting.runs import FinalRun, StudyRuns, Trial
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found
from unblur.tracking.spending import spent
from unblur.training.record import State


def facts(hours: float, gpus: float = 0.0, watts: dict[str, float] | None = None) -> dict[str, float]:
    known = {RATED: 5.0} if watts is None else watts
    told = spent({"seconds": 3600 * hours, **known}, 2, gpus)
    return {**told, **{names.FACTS[name]: value for name, value in known.items()}}


def study(
    trials: Sequence[dict[str, float]], finals: Sequence[dict[str, float]], shared: dict[str, float] | None = None
) -> StudyRuns:
    run = Found("id", "study", "FINISHED", 0.0, 9.0, {}, shared or {}, {}, "toys", {})
    return StudyRuns(
        "ease",
        run,
        "ndcg_at_10",
        [Trial(number, State.COMPLETE, {}, 0.1, 1e6, metrics=each) for number, each in enumerate(trials)],
        [FinalRun(number, 0, 1e6, each, {}) for number, each in enumerate(finals)],
    )


def row(of: StudyRuns, prices: Prices | None = None) -> dict[str, str]:
    table = costs({"ease": of}, prices or Prices())
    return dict(zip(table.columns, *table.rows, strict=True))


def test_search_and_final_runs_are_told_with_what_they_share() -> None:
    shared = {names.artefacts("trial", name): value for name, value in facts(0.5).items() if name in names.SPENT}
    found = study([facts(1), facts(2)], [facts(0.25)], shared)
    assert row(found, Prices(core_hour=0.1)) == {
        "model": "ease",
        "core hours, search": "7",  # 2 CPUs for 3 hours, and for the half hour of what the trials share
        "core hours, final runs": "0.5",
        "kWh": "0.0375",
        "kg CO2e": "0.0178",
        "$": "0.75",
    }


def test_what_was_not_measured_is_no_zero() -> None:
    old = study([{"train/seconds": 60.0}], [facts(1)])  # of a version that told no more
    assert (Cost.of(old).search, Cost.of(old).final, Cost.of(old).kwh) == (None, 2, None)
    assert Cost.of(old).dollars(Prices(core_hour=1)) is None and row(old)["kWh"] == "–"
    failed = study([{}, facts(1)], [facts(1)])
    assert Cost.of(failed).search == 2 and failed.untold == 1
    assert "Not measured, and in no figure: 1 training that" in costs({"ease": failed}, Prices()).note
    assert Cost.of(study([{}], [facts(1)])).search is None, "the search told nothing at all"
    assert Cost.of(study([], [facts(1)])).search == 0, "there was no search"
    assert "Not measured" not in costs({"ease": study([], [facts(1)])}, Prices()).note


def test_a_gpu_costs_by_its_own_price() -> None:
    found = study([facts(1, gpus=0.5, watts={RATED: 5.0, LIMIT: 700.0})], [facts(1)])
    assert row(found)["GPU hours"] == "0.5" and row(found)["kWh"] == f"{(2 * 5 + 0.5 * 700 + 2 * 5) / 1000:g}"
    assert row(found, Prices(core_hour=0.1, gpu_hour=2))["$"] == "1.4"
    table = costs({"ease": found}, Prices(core_hour=0.1))
    assert table.rows[0][-1] == "–" and "without --price-per-gpu-hour" in table.note
    assert "GPU hours" not in row(study([facts(1)], [facts(1)]))


@pytest.mark.parametrize(
    ("watts", "said"),
    [
        ({RATED: 4.375}, "4.38 W for a CPU, the processor's rated power"),
        ({ASSUMED: 4.0}, "4 W for a CPU, CodeCarbon's constant"),
        ({ASSUMED: 4.0, LIMIT: 700.0}, "700 W for a GPU, its power limit"),
        ({}, "what was drawn is not known"),
    ],
)
def test_an_estimate_says_that_it_is_one_and_how_it_was_made(watts: dict[str, float], said: str) -> None:
    found = study([facts(1, watts=watts)], [facts(1, watts=watts)])
    note = costs({"ease": found}, Prices(grams=380.95, country="DEU")).note
    assert "estimate and no measurement" in note and said in note
    assert "380.95 g for a kWh, electricity of DEU" in note
    assert "475 g for a kWh, the world's average" in costs({"ease": found}, Prices()).note


def test_the_report_has_the_cost_and_the_flags_their_price(
    new_store: Callable[[Sequence[Made]], Store], tmp_path: Path
) -> None:
    store = new_store([Made("ease", 0.05, trials=4, seeds=2)])
    asked = ReportOptions(dataset="amazon_toys", tracking_uri=store.uri, output=None, price_per_core_hour=0.5)
    table = report(asked).tables()["what-it-costs-core-hours-energy-and-money"]
    # 36 s on two CPUs for each of 4 trials and 2 final runs
    assert table.to_dict("records") == [
        {
            "model": "ease",
            "core hours, search": "0.08",
            "core hours, final runs": "0.04",
            "kWh": "< 0.001",
            "kg CO2e": "< 0.001",
            "$": "0.06",
        }
    ]
    whole = store.client.get_run(report(asked).evidence.studies[0].run.id).data.metrics  # type: ignore[union-attr]
    assert whole[names.CORE_HOURS] == pytest.approx(0.12) and whole[names.KWH] == pytest.approx(0.00048)


@pytest.mark.parametrize("flag", ["price_per_core_hour", "price_per_gpu_hour"])
def test_a_price_below_nothing_is_refused(flag: str) -> None:
    with pytest.raises(UserError, match=f"--{flag.replace('_', '-')}"):
        ReportOptions(**{flag: -1.0})
