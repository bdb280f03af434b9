"""Finding and fetching raw files, against a server on this machine."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.helpers.http_site import site_of

from unblur.data import download
from unblur.data.presets import PRESETS, Download, Preset
from unblur.errors import UserError

CONTENT = b"raw" * 100_000


@pytest.fixture
def url(tmp_path):
    """A server that serves CONTENT as ml-1m.zip."""
    root = tmp_path / "www"
    root.mkdir()
    (root / "ml-1m.zip").write_bytes(CONTENT)

    with site_of(root) as address:
        yield f"{address}/ml-1m.zip"


def preset(url, content=CONTENT):
    checksum = "md5:" + hashlib.md5(content).hexdigest()
    return replace(PRESETS["ml_1m"], download=Download("movielens/ml-1m.zip", url, checksum))


def files_in(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_downloads_into_the_layout(url, tmp_path, capsys):
    data = tmp_path / "data"
    (file,) = download.find(preset(url), data)
    assert file == data / "movielens" / "ml-1m.zip" and file.read_bytes() == CONTENT
    assert files_in(data) == ["movielens/ml-1m.zip"]
    assert "ml-1m.zip" in capsys.readouterr().err  # progress does not mix with output


def test_a_wrong_checksum_leaves_nothing(url, tmp_path):
    with pytest.raises(UserError, match=r"downloading http://127.0.0.1.* failed.*grouplens.org"):
        download.find(preset(url, b"other"), tmp_path / "data")
    assert files_in(tmp_path / "data") == []


@pytest.mark.parametrize("wrong", ["missing.zip", "refused"])
def test_a_failed_download_says_where_to_put_the_file(url, tmp_path, wrong):
    address = "http://127.0.0.1:9/x" if wrong == "refused" else url.replace("ml-1m.zip", wrong)
    with pytest.raises(UserError) as caught:
        download.find(preset(address), tmp_path / "data")
    for part in ("movielens/ml-1m.zip", str(tmp_path / "data"), "https://grouplens.org/datasets/movielens/1m/"):
        assert part in str(caught.value)


def test_what_is_there_is_taken_as_it_is(tmp_path):
    file = tmp_path / "movielens" / "ml-1m.zip"
    file.parent.mkdir()
    file.write_bytes(b"mine")
    assert download.find(preset("http://127.0.0.1:9/x"), tmp_path) == (file,)


def test_a_form_counts_only_when_complete(tmp_path):
    two = Preset("lightgcn", (("a/train.txt", "a/test.txt"), ("b.txt",)), "https://example.org")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train.txt").write_text("0 1")
    with pytest.raises(
        UserError, match=r"UNBLUR_DATA_DIR .*https://example.org and put it there as a/train.txt, a/test.txt or b.txt"
    ):
        download.find(two, tmp_path)
    (tmp_path / "b.txt").write_text("0 1")
    assert download.find(two, tmp_path) == (tmp_path / "b.txt",)


def test_the_data_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("UNBLUR_DATA_DIR", raising=False)
    assert download.directory(None) == Path("~/.cache/unblur").expanduser()
    monkeypatch.setenv("UNBLUR_DATA_DIR", str(tmp_path))
    assert download.directory(None) == tmp_path
    assert download.directory(tmp_path / "other") == tmp_path / "other"
