"""What the place of a training draws; NVIDIA's library is made up, since no GPU is needed to ask it."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from unblur.energy import LIMIT, cpu_watts
from unblur.training import power
from unblur.training.power import draws

CPU, GPU = torch.device("cpu"), torch.device("cuda")


LIMITS = {"GPU-aaa": 300_000, "GPU-bbb": 700_000}


class Nvml:
    """Two GPUs, of which this process has the second."""

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: str) -> int:
        return LIMITS[gpu]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    def has(library: Any, uuid: str) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", library)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=uuid))
        monkeypatch.setattr(power, "_gpu_watts", power._gpu_watts.__wrapped__)

    return has


def test_a_gpu_counts_with_its_own_limit_where_the_training_is_on_one(gpu: Callable[[Any, str], None]) -> None:
    gpu(Nvml(), "bbb")
    assert draws(GPU) == {**cpu_watts(), LIMIT: 700.0}, "mW are told"
    assert draws(CPU) == cpu_watts()


@pytest.mark.parametrize("library", [None, Nvml()])
def test_a_gpu_that_cannot_be_asked_has_no_figure(gpu: Callable[[Any, str], None], library: Any) -> None:
    gpu(library, "MIG-of-something")  # None: the library cannot be imported
    assert draws(GPU) == cpu_watts()
