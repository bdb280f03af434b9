"""Run by the interpreter of RecBole's environment, never by ours: it imports RecBole and nothing of the project.

Its argument is {"model": "DiffRec" or "SASRec", "dim", "batch_size", "threads", ...}; the working directory holds the
data set `unblur`. Each line of the standard input is a command, each line of the standard output its answer.
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
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import get_model  # noqa: E402

Tensors = dict[str, torch.Tensor]


class Peer:
    """One method a command."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        torch.set_num_threads(sizes["threads"])
        self.sizes = sizes
        self.n_items = len(Path("unblur/unblur.item").read_text().splitlines()) - 1
        self.epoch = 0

    def load(self, weights: str, steps: int) -> dict[str, Any]:
        settings = {**self.common(), **self.settings(steps)}
        config = Config(model=self.sizes["model"], dataset="unblur", config_dict=settings)
        dataset = create_dataset(config)
        self.train_data, self.valid_data, _ = data_preparation(config, dataset)
        self.model = get_model(self.sizes["model"])(config, self.train_data.dataset)
        self.trainer = Trainer(config, self.model)
        columns = dataset.token2id("item_id", np.arange(self.n_items).astype(str))
        with np.load(weights) as ours, torch.no_grad():
            self.copy({name: torch.from_numpy(ours[name]) for name in ours}, torch.from_numpy(np.asarray(columns)))
        return {}

    def common(self) -> dict[str, Any]:
        """Batches as large in evaluation as in training: the default would rank a user at a time."""
        return {
            "data_path": ".",
            "benchmark_filename": ["train", "valid", "valid"],  # of the test nothing is known here
            "train_neg_sample_args": None,
            "metrics": ["Precision", "Recall", "NDCG", "MRR"],
            "topk": [1, 5, 10, 20],
            "metric_decimal_place": 15,
            "train_batch_size": self.sizes["batch_size"],
            "eval_batch_size": self.sizes["batch_size"] * (self.n_items + 1),
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        }

    def settings(self, steps: int) -> dict[str, Any]:
        """The model's own."""
        raise NotImplementedError

    def copy(self, ours: Tensors, columns: torch.Tensor) -> None:
        """Our weights into its layers; its item 0 is padding, ours are its `columns`."""
        raise NotImplementedError

    def train(self) -> dict[str, Any]:
        started = time.perf_counter()
        self.trainer._train_epoch(self.train_data, self.epoch)
        self.epoch += 1
        return {"seconds": time.perf_counter() - started}

    def evaluate(self) -> dict[str, Any]:
        started = time.perf_counter()
        metrics = self.trainer.evaluate(self.valid_data, load_best_model=False)
        return {"seconds": time.perf_counter() - started, "metrics": {name: float(v) for name, v in metrics.items()}}


class DiffRec(Peer):
    def settings(self, steps: int) -> dict[str, Any]:
        return {
            "load_col": {"inter": ["user_id", "item_id"], "item": ["item_id"]},
            "eval_args": {"mode": "full", "order": "RO", "group_by": "user", "split": None},
            "noise_schedule": "linear-var",
            "noise_scale": 0.01,
            "noise_min": 0.001,
            "noise_max": 0.01,
            "dims_dnn": [self.sizes["dim"]],
            "steps": steps,
        }

    def copy(self, ours: Tensors, columns: torch.Tensor) -> None:
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


class SASRec(Peer):
    def settings(self, steps: int) -> dict[str, Any]:
        return {
            "load_col": {"inter": ["user_id", "item_id_list", "item_id"], "item": ["item_id"]},
            "alias_of_item_id": ["item_id_list"],
            "eval_args": {"mode": "full", "order": "TO", "group_by": "user", "split": None},
            "MAX_ITEM_LIST_LENGTH": self.sizes["max_length"],
            "n_layers": self.sizes["blocks"],
            "n_heads": self.sizes["heads"],
            "hidden_size": self.sizes["dim"],
            "inner_size": 4 * self.sizes["dim"],
            "hidden_dropout_prob": self.sizes["dropout"],
            "attn_dropout_prob": self.sizes["dropout"],
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "loss_type": "CE",
        }

    def copy(self, ours: Tensors, columns: torch.Tensor) -> None:
        theirs = self.model.state_dict()
        theirs["item_embedding.weight"].zero_()[columns] = ours["items"]
        theirs["position_embedding.weight"].copy_(ours["encoder.positions.weight"])
        for end in ("weight", "bias"):
            theirs[f"LayerNorm.{end}"].copy_(ours[f"encoder.norm.{end}"])
            for block in range(self.sizes["blocks"]):
                mine, its = f"encoder.blocks.{block}", f"trm_encoder.layer.{block}"
                for name, part in zip(("query", "key", "value"), ours[f"{mine}.inwards.{end}"].chunk(3), strict=True):
                    theirs[f"{its}.multi_head_attention.{name}.{end}"].copy_(part)
                for name, other in (
                    ("outwards", "multi_head_attention.dense"),
                    ("norm_attention", "multi_head_attention.LayerNorm"),
                    ("widen", "feed_forward.dense_1"),
                    ("narrow", "feed_forward.dense_2"),
                    ("norm_feed_forward", "feed_forward.LayerNorm"),
                ):
                    theirs[f"{its}.{other}.{end}"].copy_(ours[f"{mine}.{name}.{end}"])


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    peer = {"DiffRec": DiffRec, "SASRec": SASRec}[told["model"]](told)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(peer, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)
