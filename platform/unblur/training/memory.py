"""How much memory a training may take, this machine's or this process's share of its GPU, and how much it took."""

import os
from pathlib import Path

import torch

from unblur.formatting import gigabytes
from unblur.training.allocator import give_back_freed_memory

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
CUDA_CONTEXT = 2**29
"""Bytes of a GPU that a process takes before its first tensor: CUDA's context, with the kernels of PyTorch and of its
libraries. Some hundred MiB, by GPU and driver (not measured here), which PyTorch's own limits do not count."""
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def physical_memory() -> int:
    """Bytes of this machine's memory, or of the container's where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in map(Path, CGROUP_LIMITS):
        text = file.read_text().strip() if file.exists() else ""
        limits += [int(text)] if text.isdigit() else []  # "max" is none
    return min(limits)


def take_share(gpus: float) -> None:
    """Keep this process to its share of the GPU: if it takes more it runs out of memory alone, not its neighbours.

    `gpus` is what Ray reserved for it. Nothing is done without CUDA, or for a process that has no GPU.
    """
    if gpus > 0 and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(fraction(gpus, total))


def fraction(gpus: float, total: int) -> float:
    """The part of a GPU's `total` bytes that tensors may take in a share of it; CUDA's own comes out of the share."""
    return 1.0 if gpus >= 1 else max(0.0, gpus - CUDA_CONTEXT / total)


def room(device: torch.device) -> tuple[int, str]:
    """Bytes that a training may take there, and whose they are: the machine's, or the process's share of the GPU."""
    if device.type != "cuda":
        return physical_memory(), "this machine"
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    part = torch.cuda.get_per_process_memory_fraction()
    return int(part * total), f"its share of a GPU with {gigabytes(total)}"


class Peak:
    """The most memory that this process takes from now on, above what it takes now.

    On a GPU that of its tensors, otherwise what is resident. A process trains one model after another.
    """

    def __init__(self) -> None:
        self._tensors, self._most = 0, 0
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # otherwise there is nothing there yet
            torch.cuda.reset_peak_memory_stats()
            self._tensors = torch.cuda.memory_allocated()
        self._resident = _forget_peak()

    def facts(self, device: torch.device) -> dict[str, float]:
        """`memory_mib`, in MiB, of a training there; nothing where the system does not tell."""
        if device.type == "cuda":
            return {"memory_mib": (torch.cuda.max_memory_allocated() - self._tensors) / 2**20}
        if self._resident is None:
            return {}
        # the system counts exactly when it is asked and roughly in between, so that VmHWM may fall by some pages
        self._most = max(self._most, status_bytes("VmHWM") - self._resident)
        return {"memory_mib": self._most / 2**20}


def _forget_peak() -> int | None:
    """What is resident, from where on the system counts the peak anew; None where it cannot (proc(5), clear_refs)."""
    give_back_freed_memory()  # what an earlier training left would hide what this one takes
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return None
    return status_bytes("VmRSS")


def status_bytes(field: str) -> int:
    """VmRSS, what is resident now, or VmHWM, the most that was; Linux alone tells."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
