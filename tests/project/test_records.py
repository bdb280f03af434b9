"""Records know whether they are whole, and of what they are."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unblur import records
from unblur.files import under

CONTENT = {"value": 0.25, "metrics": {"a@1": 1.0}, "none": None, "list": [1, 2]}


@pytest.fixture(params=[False, True], ids=["path", "uri"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A record with a folder of files, and one beside it."""
    home = tmp_path.as_uri() if request.param else str(tmp_path)
    saved = records.upload(lambda folder: (folder / "weights").write_bytes(bytes(100)), under(home, "model"))
    own = records.upload(lambda folder: (folder / "table").write_text("1"), home)
    records.write(under(home, "it.json"), CONTENT, "a task", {"model": saved, "": own})
    return under(home, "it.json")


def test_what_is_written_is_read_by_who_asks_for_the_same(place: str, tmp_path: Path) -> None:
    assert records.read(place, "a task") == CONTENT
    assert records.read(place, "another") is None
    assert records.read(under(str(tmp_path), "other.json"), "a task") is None
    assert json.loads((tmp_path / "it.json").read_text())["value"] == 0.25, "for people too"


DAMAGE: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"}"),
    "a digit": lambda path: path.write_bytes(path.read_bytes().replace(b"1", b"2").replace(b"\0", b"\1", 1)),
    "another": lambda path: path.write_bytes(b'{"value": 1, "record": {}}'),
    "a list": lambda path: path.write_bytes(b"[1]"),
    "bytes": lambda path: path.write_bytes(b"\xff" * 100),
}


@pytest.mark.parametrize("name", ["it.json", "model/weights", "table"])
@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_damaged_counts_as_none_and_is_named(
    name: str, how: str, place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert records.read(place, "a task") is not None
    DAMAGE[how](tmp_path / name)
    assert records.read(place, "a task") is None
    assert name in caplog.text or (name, how) == ("it.json", "deleted")
