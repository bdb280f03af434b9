"""The files beside the package in a checkout: search spaces, templates, the plain implementation."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def beside(path: Path) -> Path:
    """`path` in the working directory, else in the checkout that unblur was installed from if it is there."""
    return ROOT / path if (ROOT / path).exists() and not path.exists() else path
