"""The share of a GPU that a trial gets: the arithmetic, and the wiring on a real Ray with a GPU that is none."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers import HELPERS, driver_environment
from tests.helpers.jobs import environment

from unblur.errors import UserError
from unblur.running import gpus
from unblur.running.gpus import MOST, SAFETY, choice, share_of, told, with_allowance
from unblur.running.resources import Resources, capacity, trials_on
from unblur.training.memory import CUDA_CONTEXT, fraction

GIB = 2**30
NODE = {"CPU": 16.0, "GPU": 1.0}


@pytest.mark.parametrize(
    ("needed", "memory", "gpus", "cpus", "cpus_per_trial", "share"),
    [
        (3 * GIB, 24 * GIB, 1, 16, 1, 1 / 8),
        (3 * GIB, 139 * GIB, 1, 16, 1, 1 / 16),  # 46 would fit, but only 16 find a CPU
        (3 * GIB, 139 * GIB, 4, 16, 1, 1 / 4),  # ... and the CPUs are for all GPUs of the node
        (3 * GIB, 139 * GIB, 1, 16, 3, 1 / 5),
        (3 * GIB, 139 * GIB, 1, 4, 0.5, 1 / 8),
        (3 * GIB, 139 * GIB, 1, 0.3, 0.1, 0.3333),
        (13 * GIB, 24 * GIB, 1, 16, 1, 1),
        (25 * GIB, 24 * GIB, 1, 16, 1, 1),
        (5 * GIB, 16 * GIB, 1, 16, 1, 0.3333),
        (GIB, 1000 * GIB, 1, 1000, 1, 1 / MOST),
        (3 * GIB, 24 * GIB, 1, 1, 2, 1),
    ],
)
def test_a_share(needed: int, memory: int, gpus: float, cpus: float, cpus_per_trial: float, share: float) -> None:
    assert share_of(needed, memory, gpus, cpus, cpus_per_trial) == pytest.approx(share, abs=1e-12)


@given(
    st.integers(1, 200 * GIB), st.integers(GIB, 200 * GIB), st.integers(1, 8), st.integers(1, 256), st.integers(1, 16)
)
def test_as_many_share_a_gpu_as_its_memory_and_the_cpus_allow(
    needed: int, memory: int, gpus: int, cpus: int, cpus_per_trial: int
) -> None:
    share = share_of(needed, memory, gpus, cpus, cpus_per_trial)
    sharing = int(1 / share)
    assert sharing * share <= 1 and share * 10_000 == pytest.approx(round(share * 10_000)), "in Ray's units"
    fits = [k * needed <= memory and k * gpus * cpus_per_trial <= cpus for k in (sharing, sharing + 1)]
    assert (fits[0] or sharing == 1) and (not fits[1] or sharing == MOST)
    if fits[0]:
        trial = Resources(1, cpus_per_trial, share)
        assert trials_on([{"CPU": cpus, "GPU": gpus}], trial) == gpus * sharing


@given(st.integers(1, 20 * GIB), st.integers(1, 200))
def test_who_gets_a_share_may_take_what_was_estimated(estimate: int, gigabytes: int) -> None:
    memory = gigabytes * GIB
    needed = with_allowance(estimate)
    if needed <= memory:
        assert fraction(share_of(needed, memory, 1, 1000, 1), memory) * memory >= estimate


def unasked() -> int:
    raise AssertionError("nobody needs to know")


def test_without_gpus_there_is_nothing_to_say() -> None:
    assert choice(Resources(), GIB, [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 0.0}], unasked) == (0, "")


def test_several_workers_get_a_gpu_each() -> None:
    share, why = choice(Resources(2), GIB, [NODE, NODE], unasked)
    assert share == 1 and "a GPU of its own" in why


@pytest.mark.parametrize("needs", [Resources(2), Resources(1, 32)])
def test_what_fits_only_without_gpus_goes_without(needs: Resources) -> None:
    nodes = [NODE, {"CPU": 64.0}]
    share, why = choice(needs, GIB, nodes, unasked)
    assert share == 0 and why.startswith("GPUs are not used") and "x 1 GPUs" in why
    assert capacity(needs, nodes) >= 1
    with pytest.raises(UserError):
        capacity(Resources(needs.workers, needs.cpus, 1), nodes)


def test_a_gpu_that_nobody_knows_is_given_whole() -> None:
    share, why = choice(Resources(), GIB, [NODE], lambda: None)
    assert share == 1 and "a whole GPU" in why and "--gpus-per-worker 0.25" in why


def test_the_choice_is_told_with_its_arithmetic() -> None:
    estimate = 2 * GIB
    share, why = choice(Resources(), estimate, [NODE], lambda: 24 * GIB)
    assert (estimate + CUDA_CONTEXT) * SAFETY == 3.75 * GIB and share == 0.1666
    assert why == "each trial gets 1/6 of a GPU: it needs about 3.8 GiB of 24.0 GiB, reserves included"
    share, why = choice(Resources(), estimate, [NODE], lambda: 139 * GIB)
    assert share == 1 / 16 and "1/16 of a GPU" in why and "37 would fit, but each takes CPUs too" in why
    assert "a whole GPU" in told(1, 30 * GIB, 24 * GIB) and "that do not fit will fail" in told(1, 30 * GIB, 24 * GIB)


def test_the_node_with_the_most_cpus_for_its_gpus_decides() -> None:
    nodes = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 8.0}, {"CPU": 64.0}]
    share, _ = choice(Resources(1, 2), GIB, nodes, lambda: 100 * GIB)
    assert share == 1 / 4 and trials_on(nodes, Resources(1, 2, share)) == 2 + 4


def test_no_node_is_brought_up_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 2.0}}]
    nodes += [{"NodeID": "b", "Alive": False, "Resources": {"GPU": 1.0}}]
    monkeypatch.setattr(gpus.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(gpus.ray, "remote", lambda **_: unasked())
    assert gpus.gpu_memory() is None


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What searches and trainings told on a Ray with one GPU that is none: a process of its own, as the cluster that
    the other tests share has no GPU."""
    done = subprocess.run(
        [sys.executable, str(HELPERS / "gpu_driver.py")],
        cwd=tmp_path_factory.mktemp("gpu"),
        env={**environment(), "PYTHONPATH": driver_environment()["PYTHONPATH"]},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def part(driven: str, name: str) -> str:
    return driven.split(f"== {name}\n")[1].split("\n== ")[0]


@pytest.mark.slow
def test_trials_and_final_runs_share_the_gpu_of_a_real_cluster(driven: str) -> None:
    told = part(driven, "search")
    assert "each trial gets 1/2 of a GPU" in told and "2 at a time, each on 1 CPU and 0.5 GPU" in told
    assert "would fit, but each takes CPUs too" in told
    assert "2 complete" in told and "reserved: {0.5}" in told


@pytest.mark.slow
def test_the_choice_is_made_for_each_model(driven: str) -> None:
    closed_form, trained = part(driven, "models").split("─ cfg_diffrec")
    assert "each on 1 CPU\n" in closed_form and "each trial gets" not in closed_form
    assert "1 CPU and 0.5 GPU" in trained and "each trial gets 1/2 of a GPU" in trained


@pytest.mark.slow
def test_one_training_chooses_too_and_a_number_is_taken_as_it_is(driven: str) -> None:
    trained = part(driven, "train")
    assert "each trial gets 1/2 of a GPU" in trained and "asked 1 time(s)" in trained, "one question, many answers"
    told = part(driven, "number")
    assert "1 CPU and 0.25 GPU" in told and "each trial gets" not in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU (CUDA), and it would answer")
@pytest.mark.slow
def test_a_gpu_without_cuda_cannot_be_asked(driven: str) -> None:
    told = part(driven, "unknown")
    assert "each trial gets a whole GPU, since no GPU" in told
    assert "1 at a time, each on 1 CPU and 1 GPU" in told
