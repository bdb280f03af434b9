"""How many trials fit, and the arithmetic of those that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.errors import UserError
from unblur.running.resources import Resources, capacity, concurrency


@pytest.mark.parametrize(
    ("needs", "nodes", "trials"),
    [
        (Resources(), [{"CPU": 2}], 2),
        (Resources(2, 8), [{"CPU": 8}, {"CPU": 8}], 1),
        (Resources(1, 2), [{"CPU": 3}, {"CPU": 3}], 2),
        (Resources(1, 4, 1), [{"CPU": 32, "GPU": 2}, {"CPU": 64}], 2),
        (Resources(2, 1, 1), [{"CPU": 3, "GPU": 3}], 1),
        (Resources(1, 0.5), [{"CPU": 2}], 4),
        (Resources(1, 0.1), [{"CPU": 1}], 10),
        (Resources(1, 1, 0.1), [{"CPU": 16, "GPU": 1}], 10),
        (Resources(1, 1, 0.1666), [{"CPU": 16, "GPU": 2}], 12),
        (Resources(1, 1, 0.4), [{"CPU": 16, "GPU": 2}], 4),  # a part of a GPU lies on one GPU
    ],
)
def test_capacity(needs: Resources, nodes: list[dict[str, float]], trials: int) -> None:
    assert capacity(needs, nodes) == trials


def test_the_arithmetic_of_an_impossible_request() -> None:
    with pytest.raises(UserError) as caught:
        capacity(Resources(2, 8), [{"CPU": 2}])
    assert "2 workers x 8 CPUs = 16 CPUs; the largest node has 2 CPUs" in str(caught.value)
    assert "--workers-per-trial" in str(caught.value)
    with pytest.raises(
        UserError, match=r"1 worker x 4 CPUs = 4 CPUs and 1 worker x 1 GPUs = 1 GPUs.*has 8 CPUs and 0 GPUs"
    ):
        capacity(Resources(1, 4, 1), [{"CPU": 8}])
    with pytest.raises(UserError, match="all 2 together 12 CPUs, on which 0"):
        capacity(Resources(1, 8), [{"CPU": 6}, {"CPU": 6}])
    with pytest.raises(UserError, match="has 0 CPUs"):
        capacity(Resources(), [])


@given(st.integers(1, 4), st.integers(1, 8), st.lists(st.integers(0, 32), min_size=1, max_size=6))
def test_what_is_promised_fits(workers: int, cpus: int, nodes: list[int]) -> None:
    needs = Resources(workers, cpus)
    try:
        trials = capacity(needs, [{"CPU": node} for node in nodes])
    except UserError:
        trials = 0
    places = sum(node // cpus for node in nodes)
    assert trials * workers <= places < (trials + 1) * workers


def test_on_a_real_cluster(local_ray: None) -> None:
    assert concurrency(Resources(cpus=0.5)) == 2 and concurrency(Resources()) == 1 and concurrency(Resources(), 9) == 1
    with pytest.raises(UserError, match="the largest node has 1 CPUs"):
        concurrency(Resources(2, 8))
