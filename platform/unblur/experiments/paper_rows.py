"""Rows of the papers' tables as files: what was trained on what, and what the paper found."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from unblur.documents import read
from unblur.errors import UserError, unknown
from unblur.models import RECOMMENDERS, config_class, configure
from unblur.models.base import ModelConfig


class Preset(BaseModel):
    """One row: `parameters` make the Config of `model`, `expected` are the paper's figures by metric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The file's name without its ending."""
    paper: str
    table: str
    row: str
    """The row's name in the table."""
    dataset: str
    """Our dataset preset."""
    model: str
    parameters: dict[str, Any]
    expected: dict[str, float]
    """The paper's figures: metric@k, in fractions."""
    against: str | None = None
    """Name of the row of the same table that the paper says this one beats."""
    parameters_millions: float | None = None
    """Trainable parameters that the paper states, in millions."""
    note: str = ""
    """What the paper leaves open or we do otherwise."""
    epochs: int = 1000
    eval_every: int = 5
    patience: int = 20
    metric: str = "recall@20"
    """What decides on the validation set, as in the authors' code."""

    @property
    def config(self) -> ModelConfig:
        """UserError when the model refuses the parameters."""
        return configure(self.model, self.parameters, f"preset {self.name}")

    @property
    def command(self) -> str:
        """The command that trains the row with five seeds and tests it."""
        flags = {
            "dataset": self.dataset,
            "model": self.model,
            "metric": self.metric,
            "epochs": self.epochs,
            "eval-every": self.eval_every,
            "patience": self.patience,
            "seeds": 5,
        }
        words = ["python", "jobs/train.py", *(word for flag, v in flags.items() for word in (f"--{flag}", str(v)))]
        words += [word for assignment in self.assignments() for word in ("--set", assignment)]
        return shlex.join(words)

    def assignments(self) -> list[str]:
        """The parameters as `--set` takes them."""
        return [
            f"{name}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
            for name, value in self.parameters.items()
        ]


@dataclass(frozen=True)
class Reproduction:
    """What has become of a row: `test` maps a metric (`ndcg_at_10`) to its values by seed, once it is done."""

    preset: Preset
    state: Literal["done", "waiting", "not at hand", "failed"] = "waiting"
    reason: str = ""
    """Why it is not at hand or failed."""
    test: Mapping[str, Sequence[float]] | None = None
    parameters: float | None = None
    """Trainable parameters of ours."""
    memory_mib: float | None = None
    """The most memory that one of our trainings took."""

    def values(self, metric: str) -> Sequence[float]:
        """Ours by seed of a metric as the preset writes it (ndcg@10); none before the row is done."""
        return (self.test or {}).get(metric.replace("@", "_at_"), ())


def load_preset(file: Path) -> Preset:
    """The preset in `file`; UserError when it is none."""
    document = read(file)
    preset = document.parse(Preset, name=file.stem)
    if preset.model not in RECOMMENDERS:
        raise document.error(["model"], str(unknown("model", preset.model, RECOMMENDERS.names())))
    document.check(config_class(preset.model), preset.parameters, ["parameters"])
    return preset


def load_presets(files: Sequence[Path]) -> list[Preset]:
    """The presets of all files; UserError when one is held against another that is not there."""
    found = [load_preset(file) for file in files]
    names = [preset.name for preset in found]
    for file, preset in zip(files, found, strict=True):
        if preset.against is not None and preset.against not in names:
            raise UserError(f"{file}: against: no row {preset.against}; there are: {', '.join(names)}")
    return found
