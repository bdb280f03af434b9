"""The folder that MLflow calls a model: weights, catalogue, and all the code that answers, so that it needs no index
for `unblur` and nobody can publish a package of that name into it. Nothing is pickled.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import unblur
from unblur import models
from unblur.models.files import CONFIG

CODE = Path(__file__).with_name("pyfunc_model.py")
SCORING = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "scikit-learn", "scipy", "torch")
"""The libraries that answering needs; searching and training need more."""
WRITTEN_LATER = ("registered_model_meta", "__pycache__")
"""What MLflow and Python put into a model's folder when they load it."""


PerUser = Mapping[str, NDArray[np.float32]]
"""Metrics on validation of each user (n,), by name."""
PER_USER = "validation.npz"


def build(scratch: Path, folder: Path, items: Sequence[str], per_user: PerUser, logged: Any, run_id: str) -> Path:
    """Make the package of the model that was saved in `folder`, somewhere in `scratch`.

    items: raw ids by column. per_user: what later models are held against. logged: MLflow's record of the model.
    run_id: of the study's run. The signature is taken from a prediction for made-up histories, which so is tried as
    well.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    # the names that they keep
    recommender, catalogue, validation = scratch / "recommender", scratch / "items.json", scratch / PER_USER
    shutil.copytree(folder, recommender)
    catalogue.write_text(json.dumps(items))
    np.savez_compressed(validation, allow_pickle=False, **per_user)
    mlflow.pyfunc.save_model(
        scratch / "model",
        mlflow_model=Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id),
        python_model=str(CODE),  # a path is kept as code; an object would be pickled
        code_paths=[str(_code(scratch))],
        artifacts={"model": str(recommender), "items": str(catalogue), "validation": str(validation)},
        input_example=(made_up(items), dials(folder)),
        pip_requirements=requirements(),  # given, so that MLflow need not find out
    )
    return scratch / "model"


def per_user(package: Path) -> PerUser | None:
    """What `build` put into a package, None where it put nothing (an earlier version of it)."""
    file = package / "artifacts" / PER_USER
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def made_up(items: Sequence[str]) -> list[list[str]]:
    """Histories for MLflow's example: of the catalogue's first items, and nobody's."""
    return [list(items[:2]), list(items[-1:])]


def dials(folder: Path) -> dict[str, Any]:
    """What a request may set beside its histories, as it is where nothing is set."""
    given: dict[str, Any] = {"k": 10, "exclude": [""]}  # no item has this id; MLflow has no type for an empty list
    saved = json.loads((folder / CONFIG).read_text())
    # a part of a composed model has it, or has not
    if "guidance_scale" in models.config_class(saved["model"]).INFERENCE & saved["config"].keys():
        given["guidance_scale"] = float(saved["config"]["guidance_scale"])
    return given


def requirements() -> list[str]:
    """The versions at hand, without build tags such as `+cpu`, which an index may not have."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in SCORING]


def digest(folder: Path) -> str:
    """The hash of a folder: of the names and contents of all its files but those that are written later."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if not set(name.parts) & set(WRITTEN_LATER):
            total.update(f"{name.as_posix()}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _code(scratch: Path) -> Path:
    """The package's own modules, without the files for searching and reporting."""
    package = Path(unblur.__file__).parent
    others = shutil.ignore_patterns("__pycache__", "shipped", "*.csv")
    return Path(shutil.copytree(package, scratch / "code" / package.name, ignore=others))
