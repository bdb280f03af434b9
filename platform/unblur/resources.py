"""Files that come with the package: search spaces, studies, papers' rows, templates of the report.

In the repository they lie at its top (`search_spaces/`, `dashboards/`); the wheel carries them in `unblur/shipped/`.
A file of the same name in the working directory goes before.
"""

from pathlib import Path

_SHIPPED = Path(__file__).with_name("shipped")
HOME = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2]
"""The folder that holds `search_spaces/` and `dashboards/`."""


def find(path: str | Path) -> Path:
    """`path` in the working directory if it is there, else the package's own; as given when there is neither."""
    here, own = Path(path), HOME / path
    return own if own.exists() and not here.exists() else here


def named(folder: str) -> dict[str, Path]:
    """The YAML files of `folder` by name: the package's own, those of the working directory in the place of theirs."""
    places = (HOME / folder, Path(folder))
    return {file.stem: file for place in places for file in sorted(place.glob("*.yaml"))}
