"""How busy a GPU is, as `nvidia-smi` has it."""

import shutil
import subprocess
from contextlib import suppress
from statistics import mean
from typing import Any, Self

import torch

EVERY_MS = 200


class Utilisation:
    """Asks from the beginning to the end of the block; nothing is asked without a GPU or without `nvidia-smi`."""

    def __init__(self, device: torch.device) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._told = ""
        self._asks = device.type == "cuda" and shutil.which("nvidia-smi") is not None

    def __enter__(self) -> Self:
        if self._asks:
            which = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            command = ["nvidia-smi", f"--id={which}", *query, f"--loop-ms={EVERY_MS}"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._process.terminate()
            self._told, _ = self._process.communicate()

    def percent(self) -> dict[str, float] | None:
        """The mean and the most of the percentages; None where nobody told."""
        return summary(self._told)


def summary(told: str) -> dict[str, float] | None:
    """Of lines with a percentage each; others (`[N/A]`, a line cut off) say nothing."""
    found = []
    for line in told.splitlines():
        with suppress(ValueError):
            found.append(float(line))
    return {"mean": mean(found), "most": max(found)} if found else None
