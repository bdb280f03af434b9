"""Files at an address, from a server on this machine."""

import os

import pytest
from tests.helpers.http_site import Silent, site_of

from unblur.data import remote
from unblur.data.download import find
from unblur.data.prepare import prepare
from unblur.data.presets import resolve
from unblur.data.request import DataRequest, name_of
from unblur.errors import UserError

PLAYS = "user,item,timestamp\n" + "".join(f"u{user},i{item},{item}\n" for user in range(5) for item in range(9))


@pytest.fixture
def site(tmp_path):
    """Folder and address of a server, and the paths that it was asked for with how many bytes it sent."""
    root = tmp_path / "www"
    root.mkdir()
    (root / "plays.csv").write_text(PLAYS)

    class Handler(Silent):
        def do_GET(self):
            if self.path.startswith("/short"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"user,item\n")
                return
            if self.path.startswith("/endless"):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"x" * 5000)
                return
            super().do_GET()

    with site_of(root, Handler) as address:
        yield root, address


def test_an_address_is_the_data_of_its_file(site, tmp_path):
    root, address = site
    there, here = f"{address}/plays.csv?version=2", str(root / "plays.csv")
    made = [prepare(DataRequest(dataset=each), tmp_path / "raw", tmp_path / "store") for each in (there, here)]
    assert made[0].digest == made[1].digest and made[0].facts == made[1].facts
    assert name_of(there) == name_of(here) == "plays"


def test_what_has_not_changed_is_not_copied_again_and_what_has_is(site, tmp_path):
    root, address = site
    first = remote.fetched(f"{address}/plays.csv", tmp_path / "raw")
    first.write_text("kept")  # a second copy would put this right
    assert remote.fetched(f"{address}/plays.csv", tmp_path / "raw").read_text() == "kept"
    (root / "plays.csv").write_text(PLAYS.replace("u0", "u7"))
    os.utime(root / "plays.csv", (1e9, 1e9))
    second = remote.fetched(f"{address}/plays.csv", tmp_path / "raw")
    assert second != first and "u7" in second.read_text() and second.name == "plays.csv"


def test_a_description_may_name_an_address(site, tmp_path):
    _, address = site
    (tmp_path / "mine.yaml").write_text(f"source: {address}/plays.csv\ncolumns: {{user: user, item: item}}\n")
    files = find(resolve(DataRequest(dataset=str(tmp_path / "mine.yaml"))), tmp_path / "raw")
    assert [file.name for file in files] == ["mine.yaml", "plays.csv"] and files[1].read_text() == PLAYS


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.csv?token=hidden1", r"/gone.csv\?token=\*\*\*: cannot be fetched: the server answers 404"),
        ("short.csv", "cannot be fetched: it ended after 10 of 1,000 bytes"),
        ("endless.csv", "more than 0 MiB, and at most 0 MiB are fetched; fetch it yourself"),
    ],
)
def test_what_cannot_be_had_leaves_nothing(site, tmp_path, monkeypatch, path, message):
    monkeypatch.setattr(remote, "LIMIT", 4000)
    with pytest.raises(UserError, match=message) as caught:
        remote.fetched(f"{site[1]}/{path}", tmp_path / "raw")
    assert "hidden1" not in str(caught.value)
    assert not [file for file in (tmp_path / "raw").rglob("*") if file.is_file()]


def test_a_file_that_is_said_to_be_too_large_is_not_begun(site, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "LIMIT", 100)
    with pytest.raises(UserError, match="at most 0 MiB are fetched"):
        remote.fetched(f"{site[1]}/plays.csv", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/x.csv", "cannot be fetched: .*refused"),
        ("http://ann:secret77@127.0.0.1/x.csv", "has a password in it"),
    ],
)
def test_addresses_that_cannot_be_read(tmp_path, address, message):
    with pytest.raises(UserError, match=message) as caught:
        remote.fetched(address, tmp_path)
    assert "secret77" not in str(caught.value)


def test_other_schemes_are_refused():
    with pytest.raises(UserError, match=r"--dataset = 'gs://a/b.csv': expected a preset, a path .*https://"):
        DataRequest(dataset="gs://a/b.csv")
