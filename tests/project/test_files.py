"""Files are written at once, whatever happens, and places are paths or URIs."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from unblur import records
from unblur.errors import UserError
from unblur.files import PARTIAL, download, read_json, replacing, under, write_bytes, write_json, write_output


@pytest.mark.parametrize("as_uri", [False, True])
def test_what_is_written_is_read(as_uri: bool, tmp_path: Path) -> None:
    place = (tmp_path.as_uri() if as_uri else str(tmp_path)) + "/a/b.json"
    assert read_json(place) is None
    for content in ({"a": [1, 2.5, "é"]}, {}):
        write_json(place, content)
        assert read_json(place) == content
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failure_leaves_the_old_file_and_no_other(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_bytes(file, b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if step != "write":
        monkeypatch.setattr(*{"fsync": (os, "fsync"), "rename": (Path, "replace")}[step], full)
    with pytest.raises(OSError, match="No space left"), replacing(file) as partial:
        partial.write_bytes(b"new")
        if step == "write":
            full()
    assert [each.name for each in tmp_path.iterdir()] == ["file"] and file.read_bytes() == b"old"


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def renamed(path: Path, target: Path) -> Path:
        assert path.name.endswith(PARTIAL) and path.read_bytes() == b"ab"
        order.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_bytes(tmp_path / "file", b"a", memoryview(b"b"))
    assert order == ["file", "rename", "folder"]


def test_a_file_that_a_flag_names(tmp_path: Path) -> None:
    write_output(tmp_path / "new" / "file", "text", "--output")
    assert (tmp_path / "new" / "file").read_text() == "text"
    with pytest.raises(UserError, match=r"^--summary .*new cannot be written: Is a directory; name another file$"):
        write_output(tmp_path / "new", "text", "--summary")
    assert [each.name for each in tmp_path.iterdir()] == ["new"]


def test_folders_go_and_come(tmp_path: Path) -> None:
    there = under(tmp_path.as_uri(), "there")
    records.upload(lambda folder: (folder / "file").write_text("text"), there)
    assert (download(there, tmp_path / "unused") / "file").read_text() == "text"
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("folder", "below"),
    [
        ("/a b?", "/a b?/c/00001"),
        ("/a/", "/a/c/00001"),
        ("s3://bucket/a", "s3://bucket/a/c/00001"),
        ("s3://bucket/a?region=x&scheme=http", "s3://bucket/a/c/00001?region=x&scheme=http"),
    ],
)
def test_a_place_below_another(folder: str, below: str) -> None:
    assert under(folder, "c", "00001") == below
