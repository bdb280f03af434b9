"""A process is kept to its share of a GPU, and a training is held against that share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.synthetic import communities

from unblur.files import read_json, under
from unblur.running import ray_train as distributed
from unblur.running.resources import Resources
from unblur.training import memory
from unblur.training.loop import TrainingFailed, TrainingSchedule
from unblur.training.memory import CLEAR_REFS, CUDA_CONTEXT, Peak, fraction, physical_memory, room, take_share
from unblur.training.task import OUTCOME, Task

SPLIT = communities()
GIB = 2**30
needs_proc = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="this system does not tell a process's peak memory")
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU (CUDA)")


@given(st.integers(1, 100), st.integers(1, 200))
def test_the_tensors_and_contexts_of_all_who_share_a_gpu_fit_into_it(sharing: int, gigabytes: int) -> None:
    total = gigabytes * GIB
    part = fraction(1 / sharing, total)
    assert 0 <= part <= 1 / sharing
    if part > 0 and sharing > 1:
        assert sharing * (part * total + CUDA_CONTEXT) == pytest.approx(total)


def test_a_gpu_of_its_own_is_taken_whole() -> None:
    assert fraction(1, GIB) == fraction(2, GIB) == 1.0


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The parts of a GPU of 16 GiB that PyTorch is told to keep to; there is no such GPU."""
    parts = [1.0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=16 * GIB))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", parts.append)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: parts[-1])
    return parts


def test_a_share_is_what_a_training_has_room_in(told: list[float]) -> None:
    assert room(torch.device("cuda")) == (16 * GIB, "its share of a GPU with 16.0 GiB")
    take_share(0)  # a process without a GPU has nothing to share
    assert told == [1.0]
    take_share(0.25)
    assert told[-1] * 16 * GIB == 4 * GIB - CUDA_CONTEXT == room(torch.device("cuda"))[0]
    assert room(torch.device("cpu")) == (physical_memory(), "this machine")


def test_a_training_that_cannot_fit_into_its_share_is_refused_with_the_estimate(
    told: list[float], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000 * GIB)
    take_share(1 / 32)  # of 16 GiB: CUDA's own and nothing else
    one = Task(model="diffrec", params={"dims": [16]}, seed=0, schedule=TrainingSchedule(), folder=str(tmp_path))
    with pytest.raises(
        TrainingFailed, match=r"needs an estimated .* of memory; its share of a GPU with 16.0 GiB has 0"
    ):
        one.run(SPLIT, lambda _: None)


def test_a_closed_form_is_held_against_the_machine_wherever_it_runs(told: list[float], tmp_path: object) -> None:
    take_share(1 / 32)
    outcome = Task(model="ease", params={}, seed=0, schedule=TrainingSchedule(), folder=str(tmp_path)).run(
        SPLIT, lambda _: None
    )
    assert outcome.value > 0


def test_trials_and_workers_keep_to_what_they_were_given(told: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    try:
        Resources(1, 2.5, 0.5).settle()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(Task, "run", lambda *_: None)
    monkeypatch.setattr(distributed.ray, "get", lambda _: SPLIT)
    monkeypatch.setattr(distributed.ray.train, "report", lambda _: None)
    task = Task(model="diffrec", params={}, seed=0, schedule=TrainingSchedule(), folder="nowhere")
    distributed._train_loop({"task": task, "data": [None], "gpus": 0.25})
    assert told == [1.0, 0.5 - 1 / 32, 0.25 - 1 / 32]


def test_without_cuda_nothing_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda _: pytest.fail("there is no GPU"))
    take_share(0.5)


@pytest.fixture
def whole_again() -> Iterator[None]:
    yield
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)


@needs_a_gpu
def test_on_a_gpu_more_than_the_share_is_out_of_memory(whole_again: None) -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    take_share(0.25)
    held = torch.empty(int(0.2 * total) - CUDA_CONTEXT, dtype=torch.uint8, device="cuda")
    with pytest.raises(RuntimeError, match="out of memory"):
        torch.empty(int(0.1 * total), dtype=torch.uint8, device="cuda")
    assert room(torch.device("cuda"))[0] >= held.numel()


# Each in a process of its own: what a heap looks like after a thousand other tests is nobody's promise.
START = """
import torch
from unblur.training.allocator import keep_freed_memory
from unblur.training.memory import Peak

keep_freed_memory()
"""
TRAIN = """
for _ in range(4):  # from the second on, what the first one freed lies in the process
    peak = Peak()
    torch.ones(48 * 2**20, dtype=torch.uint8)
    print(peak.facts(torch.device("cpu"))["memory_mib"])
print(Peak().facts(torch.device("cpu"))["memory_mib"])
"""
OBSTRUCT = """
import ctypes, mmap

libc = ctypes.CDLL(None)
libc.sbrk.restype = libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
behind = -(-libc.sbrk(0) // 2**20) * 2**20 + 2**20
# MAP_FIXED_NOREPLACE: exactly there, and nothing that lies there is lost
assert libc.mmap(behind, 4096, 0, 0x100000 | mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0) == behind
"""


@needs_proc
@pytest.mark.parametrize("heap", ["", OBSTRUCT], ids=["a heap that grows in place", "a mapping behind the heap"])
def test_the_peak_is_of_what_came_since_also_where_freed_memory_is_kept(heap: str) -> None:
    done = subprocess.run([sys.executable, "-c", START + heap + TRAIN], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    *peaks, nothing = map(float, done.stdout.split())
    assert len(peaks) == 4 and all(40 < peak < 80 for peak in peaks), peaks
    assert nothing < 8


@needs_proc
def test_a_training_tells_and_records_the_memory_that_it_took(tmp_path: Path) -> None:
    recorded = []
    for hidden in (4000, 8):
        told: list[float] = []
        one = Task(
            model="diffrec",
            params={"dims": [hidden]},
            seed=0,
            schedule=TrainingSchedule(epochs=2, eval_every=1),
            folder=str(tmp_path / str(hidden)),
            keep=True,
        )
        one.run(SPLIT, lambda progress, told=told: told.append(progress.facts["memory_mib"]))
        outcome = read_json(under(one.folder, OUTCOME)) or {}
        assert len(told) == 2 and told[0] <= told[1] <= outcome["memory_mib"]
        recorded.append((outcome["memory_mib"], 4 * outcome["parameters"] / 2**20))
    (large, weights), (small, _) = recorded
    assert large > 4 * weights, "weights, gradients and two moments"
    assert small < large / 2


@needs_proc
def test_the_peak_never_falls_where_the_system_tells_less_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"VmRSS": [100 * 2**20], "VmHWM": [150 * 2**20, 140 * 2**20, 160 * 2**20]}
    monkeypatch.setattr(memory, "status_bytes", lambda field: told[field].pop(0))
    peak = Peak()
    assert [peak.facts(torch.device("cpu"))["memory_mib"] for _ in range(3)] == [50, 50, 60]


def test_where_the_system_does_not_tell_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    assert Peak().facts(torch.device("cpu")) == {}


@needs_a_gpu
def test_on_a_gpu_the_peak_is_of_its_tensors() -> None:
    held = torch.empty(2**20, dtype=torch.uint8, device="cuda")
    peak = Peak()
    torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
    assert peak.facts(held.device)["memory_mib"] == pytest.approx(64, rel=0.05)
