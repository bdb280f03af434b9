"""A model's folder: config.json and weights.safetensors. Nothing is pickled, nothing is left half written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from torch import Tensor

from unblur.errors import UserError
from unblur.files import replacing, write_json
from unblur.models.base import ModelConfig

C = TypeVar("C", bound=ModelConfig)

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
CSR_PARTS = ("data", "indices", "indptr")


def save_model(folder: Path, config: ModelConfig, tensors: Mapping[str, Tensor], extra: Mapping[str, Any]) -> None:
    """Write a model to `folder`, made if missing; `extra` is what its constructor needs besides the config.

    The weights go first: a folder with a config.json is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    # safetensors refuses views and tensors that share memory
    owned = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(folder / WEIGHTS) as partial:
        save_file(owned, partial)
    write_json(folder / CONFIG, {"model": name_of(type(config)), "config": config.model_dump(mode="json"), **extra})


def load_model(folder: Path, config_class: type[C]) -> tuple[C, dict[str, Tensor], dict[str, Any]]:
    """Config, tensors (on the CPU) and extra of what `save_model` wrote; UserError names the file that is at fault."""
    try:
        extra = json.loads((folder / CONFIG).read_text())
        name = extra.pop("model")
        if name != name_of(config_class):
            raise UserError(f"{folder} holds a model of kind {name!r}, expected {name_of(config_class)!r}")
        config = config_class.model_validate(extra.pop("config"))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no saved model: {CONFIG} is missing; name the folder of one") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{folder / CONFIG} is not the configuration of such a model: {error}; train it again"
        ) from error
    return config, load_tensors(folder / WEIGHTS), extra


def name_of(config_class: type[ModelConfig]) -> str:
    """The name under which `unblur.models` knows the model: that of its config's module."""
    return config_class.__module__.rpartition(".")[2]


def load_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file; UserError when it is missing, truncated or something else."""
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except FileNotFoundError:
        raise UserError(f"the saved model is incomplete: {file} is missing; put it back, or train it again") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is damaged: {error}. Save or train the model again.") from error
    return tensors


def pack_csr(name: str, matrix: csr_matrix) -> dict[str, Tensor]:
    """A sparse matrix as three tensors, `name.data`, `name.indices` and `name.indptr`; `unpack_csr` reads them."""
    return {f"{name}.{part}": torch.from_numpy(getattr(matrix, part)) for part in CSR_PARTS}


def unpack_csr(name: str, tensors: Mapping[str, Tensor], shape: tuple[int, int]) -> csr_matrix:
    """What `pack_csr` packed; KeyError when it is not there, ValueError when it does not fit `shape`."""
    matrix = csr_matrix(tuple(tensors[f"{name}.{part}"].numpy() for part in CSR_PARTS), shape=shape)
    matrix.check_format()
    return matrix
