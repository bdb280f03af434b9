"""Checks of what was typed, before PyTorch, Ray and MLflow are loaded: metric, models, the search space's file."""

from pathlib import Path

from unblur.documents import read
from unblur.errors import unknown
from unblur.evaluation.measuring import parse_metric
from unblur.registry import modules
from unblur.resources import find


def check_names(model: str, metric: str, search_space: Path | None = None) -> None:
    """UserError for an unknown model (one, or several separated by commas) or metric, or a file that is no YAML."""
    parse_metric(metric)
    known = modules("model", "unblur.models")
    for name in model.split(","):
        if name.strip() not in known:
            raise unknown(known.kind, name.strip(), known.names())
    if search_space is not None:
        read(find(search_space))
