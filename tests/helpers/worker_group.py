"""Several processes in one group of torch.distributed."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from torch import distributed
from torch.multiprocessing import start_processes

# forked from a server without threads: a pytest that has talked to Ray has many, and what is forked from it may crash
multiprocessing.set_forkserver_preload(
    ["pytest", "torch._dynamo", "unblur.models", "unblur.training.loop", "sklearn.cluster"]
)


def on_workers(act: Callable[[], Any], folder: Path, world: int = 2) -> list[Any]:
    """What `act` returns in each of `world` processes; `folder` is empty."""
    start_processes(_work, (cloudpickle.dumps(act), str(folder), world), world, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world)]


def _work(rank: int, act: bytes, folder: str, world: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    torch.save(cloudpickle.loads(act)(), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()
