"""Run by the interpreter of RecBole's environment, never by ours: it imports RecBole and nothing of the project.

Its argument is {"hidden", "batch_size", "threads"}; the working directory holds the data set `unblur`. Each line of the
standard input is a command, each line of the standard output its answer.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the libraries print is no answer

import numpy as np  # noqa: E402
import torch  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.general_recommender import DiffRec  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402


def settings(sizes: dict[str, int], n_items: int) -> dict[str, Any]:
    """The same model, and batches as large in evaluation as in training: its default would rank a user at a time."""
    return {
        "data_path": ".",
        "benchmark_filename": ["train", "valid", "valid"],  # of the test nothing is known here
        "load_col": {"inter": ["user_id", "item_id"], "item": ["item_id"]},
        "train_neg_sample_args": None,
        "eval_args": {"mode": "full", "order": "RO", "group_by": "user", "split": None},
        "metrics": ["Precision", "Recall", "NDCG", "MRR"],
        "topk": [1, 5, 10, 20],
        "metric_decimal_place": 15,
        "train_batch_size": sizes["batch_size"],
        "eval_batch_size": sizes["batch_size"] * (n_items + 1),
        "noise_schedule": "linear-var",
        "noise_scale": 0.01,
        "noise_min": 0.001,
        "noise_max": 0.01,
        "dims_dnn": [sizes["hidden"]],
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }


class Peer:
    """One method a command."""

    def __init__(self, sizes: dict[str, int]) -> None:
        torch.set_num_threads(sizes["threads"])
        self.n_items = len(Path("unblur/unblur.item").read_text().splitlines()) - 1
        self.settings = settings(sizes, self.n_items)
        self.epoch = 0

    def load(self, weights: str, steps: int) -> dict[str, Any]:
        config = Config(model="DiffRec", dataset="unblur", config_dict={**self.settings, "steps": steps})
        dataset = create_dataset(config)
        self.train_data, self.valid_data, _ = data_preparation(config, dataset)
        self.model = DiffRec(config, self.train_data.dataset)
        self.trainer = Trainer(config, self.model)
        columns = dataset.token2id("item_id", np.arange(self.n_items).astype(str))
        with np.load(weights) as ours:
            self.copy({name: torch.from_numpy(ours[name]) for name in ours}, torch.from_numpy(np.asarray(columns)))
        return {}

    @torch.no_grad()
    def copy(self, ours: dict[str, torch.Tensor], columns: torch.Tensor) -> None:
        """Our weights into its layers; its item 0 is padding, which gets none."""
        theirs = self.model.state_dict()
        names = [name for name in theirs if name.endswith("weight") and "mlp_layers" in name]
        first, last = (theirs[name] for name in names)
        first.zero_(), last.zero_(), theirs[names[1].replace("weight", "bias")].zero_()
        first[:, columns] = ours["w_in"].T
        first[:, self.model.n_items :] = ours["time_in.weight"]
        theirs[names[0].replace("weight", "bias")].copy_(ours["time_in.bias"])
        last[columns] = ours["out.weight"]
        theirs[names[1].replace("weight", "bias")][columns] = ours["out.bias"]
        theirs["mlp.emb_layer.weight"].copy_(ours["time.weight"])
        theirs["mlp.emb_layer.bias"].copy_(ours["time.bias"])

    def train(self) -> dict[str, Any]:
        started = time.perf_counter()
        self.trainer._train_epoch(self.train_data, self.epoch)
        self.epoch += 1
        return {"seconds": time.perf_counter() - started}

    def evaluate(self) -> dict[str, Any]:
        started = time.perf_counter()
        metrics = self.trainer.evaluate(self.valid_data, load_best_model=False)
        return {"seconds": time.perf_counter() - started, "metrics": {name: float(v) for name, v in metrics.items()}}


if __name__ == "__main__":
    peer = Peer(json.loads(sys.argv[1]))
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(peer, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)
