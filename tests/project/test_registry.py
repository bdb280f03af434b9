"""Registries: what is found, what is not, and what a wrong name is told."""

import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from unblur.errors import UserError
from unblur.registry import functions, known, modules


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with two parts, a helper, and a module of functions."""
    package = tmp_path / "made_shapes"
    package.mkdir()
    (package / "__init__.py").write_text("from math import sqrt\ndef area(): return 1\ndef _own(): return 2\n")
    for name in ("circle", "square", "_helper"):
        (package / f"{name}.py").write_text(f"NAME = {name!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "made_shapes"
    for name in [name for name in sys.modules if name.startswith("made_shapes")]:
        del sys.modules[name]


def test_modules_are_parts_and_underscores_helpers(shapes: str) -> None:
    found = modules("shape", shapes)
    assert found.names() == ["circle", "square"] and found.get("square").NAME == "square"
    assert "circle" in found and "_helper" not in found


def test_a_new_file_is_found_without_a_list(shapes: str, tmp_path: Path) -> None:
    found = modules("shape", shapes)
    (tmp_path / shapes / "triangle.py").write_text("NAME = 3\n")
    assert found.get("triangle").NAME == 3


def test_families_hold_the_parts(shapes: str, tmp_path: Path) -> None:
    family = tmp_path / shapes / "solids"
    family.mkdir()
    (family / "__init__.py").write_text("")
    (family / "cube.py").write_text("NAME = 'cube'\n")
    assert modules("shape", shapes).names() == ["cube"]


def test_functions_are_those_that_the_module_defines(shapes: str) -> None:
    assert functions("measure", shapes).names() == ["area"]


def test_a_wrong_name_is_answered_with_the_nearest(shapes: str) -> None:
    with pytest.raises(UserError, match=r"unknown shape 'sqare'\. Did you mean 'square'\? Known: circle, square\."):
        modules("shape", shapes).get("sqare")


def test_a_field_takes_known_names_alone(shapes: str) -> None:
    class Config(BaseModel):
        shape: Annotated[str, known(modules("shape", shapes))]

    assert Config(shape="circle").shape == "circle"
    with pytest.raises(ValidationError, match="Did you mean 'circle'"):
        Config(shape="cirle")
