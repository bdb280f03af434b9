"""What trainings cost, out of what they measured."""

from itertools import permutations
from pathlib import Path

import pytest

from unblur.tracking import names
from unblur.tracking.client import connect
from unblur.tracking.runs import LoggedDataset
from unblur.tracking.spending import spent, total
from unblur.tracking.tracker import Tracker

HOUR = {"seconds": 3600.0}


def test_hours_count_for_every_cpu_and_gpu_and_energy_for_what_each_draws() -> None:
    watts = {"cpu_rated_watts": 5.0, "gpu_limit_watts": 700.0}
    assert spent({**HOUR, **watts}, cpus=4, gpus=0.5) == {
        "train/seconds": 3600,
        names.CORE_HOURS: 4,
        names.GPU_HOURS: 0.5,
        names.KWH: pytest.approx((4 * 5 + 0.5 * 700) / 1000),
    }


def test_two_side_by_side_draw_what_one_with_all_of_the_machine_draws() -> None:
    facts = {**HOUR, "cpu_assumed_watts": 4.0}
    assert total([spent(facts, 1, 0)] * 2)[names.KWH] == spent(facts, 2, 0)[names.KWH]


def test_what_is_not_known_is_not_zero() -> None:
    assert spent({"cpu_assumed_watts": 4.0}, 1, 0) == {}, "no time was told"
    assert names.KWH not in spent(HOUR, 1, 0), "nothing is known of the power"
    assert names.KWH not in spent({**HOUR, "cpu_assumed_watts": 4.0}, 1, 1), "nothing is known of the GPU's"
    known = spent({**HOUR, "cpu_assumed_watts": 4.0}, 1, 0)
    assert total([known, spent(HOUR, 1, 0)]) == {"train/seconds": 7200, names.CORE_HOURS: 2, names.GPU_HOURS: 0}


def test_the_order_in_which_trainings_are_listed_changes_no_bit() -> None:
    """MLflow lists runs in no fixed order; a record that was lost and is written again must be what it was."""
    costs = [spent({"seconds": seconds}, 1, 0) for seconds in (0.1, 0.2, 0.3, 1e9)]
    assert len({total(each)["train/seconds"] for each in permutations(costs)}) == 1


@pytest.mark.parametrize("measured", [True, False])
def test_a_parent_has_the_sums_of_what_all_its_trainings_told(tmp_path: Path, measured: bool) -> None:
    tracker = Tracker(connect(f"sqlite:///{tmp_path}/mlflow.db"), "toys/clean")
    tracker.open_study("s", "toys", {}, {}, LoggedDataset("toys", "d", {}))
    watts = {"cpu_assumed_watts": 4.0} if measured else {}
    for number, facts in enumerate([{**HOUR, "cpu_assumed_watts": 4.0}, {**HOUR, **watts}]):
        tracker.start("trial", number, {})
        for epoch in (1, 2):
            tracker.log("trial", number, epoch, spent({**facts, "seconds": 1800.0 * epoch}, 2, 0))
    tracker.start("trial", 2, {})  # ended before it told anything
    tracker.finish({}, {})
    assert tracker.close() is None
    found = tracker.store.client.get_run(tracker.parent_run_id).data.metrics
    assert found["train/seconds"] == 7200 and found[names.CORE_HOURS] == 4, "the last epoch's has those before in it"
    energy = {name: found[name] for name in (names.KWH, names.KG_CO2E) if name in found}
    assert energy == ({names.KWH: 0.016, names.KG_CO2E: pytest.approx(0.016 * 0.475)} if measured else {})
