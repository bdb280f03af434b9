"""Unblur: tuning and honest evaluation of diffusion recommenders with classifier-free guidance.

The functions of `unblur.api` are imported when they are first used, so that `import unblur` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unblur.api import ablate as ablate
    from unblur.api import describe_data as describe_data
    from unblur.api import evaluate as evaluate
    from unblur.api import load_data as load_data
    from unblur.api import load_model as load_model
    from unblur.api import load_study as load_study
    from unblur.api import recommend as recommend
    from unblur.api import refit as refit
    from unblur.api import report as report
    from unblur.api import reproduce as reproduce
    from unblur.api import train as train
    from unblur.api import tune as tune

__version__ = "0.2.0"

FACE = (
    "describe_data",
    "load_data",
    "tune",
    "train",
    "refit",
    "evaluate",
    "recommend",
    "ablate",
    "reproduce",
    "report",
    "load_model",
    "load_study",
)


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"module 'unblur' has no attribute {name!r}")
    return getattr(import_module("unblur.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *FACE])
