"""Peak memory of training and evaluation, in a process of its own: `python -m unblur.benchmarking.memory JSON`."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from unblur.training.allocator import keep_freed_memory
from unblur.training.memory import STATUS, status_bytes


def measure(folder: Path, hidden: int, batch_size: int, steps: int, threads: int) -> tuple[int, int] | None:
    """(base, peak) bytes of one epoch, one evaluation and one checkpoint of the data in `folder`; only Linux tells."""
    if not STATUS.exists():
        return None
    asked = {"folder": str(folder), "hidden": hidden, "batch_size": batch_size, "steps": steps, "threads": threads}
    command = [sys.executable, "-m", "unblur.benchmarking.memory", json.dumps(asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout)
    return told["base"], told["peak"]


def train_and_evaluate(folder: str, hidden: int, batch_size: int, steps: int, threads: int) -> None:
    """What a trial does in an epoch that ends with an evaluation and a checkpoint."""
    import torch

    from unblur.data.store import load_dataset
    from unblur.evaluation.ranking import validate
    from unblur.models.diffusion import diffrec
    from unblur.training.checkpoints import Checkpoints
    from unblur.training.loop import Training, TrainingSchedule
    from unblur.training.workers import Workers

    torch.set_num_threads(threads)
    dataset = load_dataset(Path(folder))
    config = diffrec.Config.model_validate({"dims": (hidden,), "batch_size": batch_size, "T": steps})
    model = diffrec.Model(config, dataset.n_users, dataset.n_items)
    with tempfile.TemporaryDirectory() as kept:
        checkpoints = Checkpoints(kept)
        keep_freed_memory()  # as every worker does
        training = Training(model, dataset, TrainingSchedule(), lambda _: None, checkpoints, Workers())
        training.train_epoch()
        validate(model, dataset)
        checkpoints.save(training.state())


def main() -> None:
    base = status_bytes("VmRSS")
    train_and_evaluate(**json.loads(sys.argv[1]))
    print(json.dumps({"base": base, "peak": status_bytes("VmHWM")}))


if __name__ == "__main__":
    main()
