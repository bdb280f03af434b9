"""What the place of a training draws at work, as facts of its reports."""

from functools import cache

import torch

from unblur.energy import LIMIT, cpu_watts


def draws(device: torch.device) -> dict[str, float]:
    """W of a CPU, and of the GPU where the training is on one, each under the name of how it was found."""
    return {**cpu_watts(), **(_gpu_watts() if device.type == "cuda" else {})}


@cache
def _gpu_watts() -> dict[str, float]:
    """The limit that the driver holds this process's GPU to; nothing where it does not tell, or nobody can ask it."""
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        gpu = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return {LIMIT: pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000}
    except Exception:  # no nvidia-ml-py, no driver, a part of a GPU (MIG)
        return {}
