"""Storage in a bucket (moto's server on loopback), the study in a real PostgreSQL, and what --check says of each."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs
from rich.console import Console
from tests.helpers.jobs import Run, command, environment
from tests.helpers.mlflow_server import Server as MLflow
from tests.helpers.mlflow_store import new_database
from tests.helpers.remedies import assert_mendable
from tests.search.test_postgres import BINARIES, Server, server

from unblur.data import remote
from unblur.errors import UserError
from unblur.experiments.check import check
from unblur.experiments.options import SearchOptions
from unblur.files import filesystem, under, write_text
from unblur.processes import free_port
from unblur.training.checkpoints import Checkpoints

__all__ = ["server"]
needs_postgres = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server under /usr/lib/postgresql")
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The part of a storage URI that leads to the server; it has one bucket, `bucket`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        host, port = moto.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        moto.stop()


def names(uri: str) -> list[str]:
    files, root = filesystem(uri)
    return [one.path for one in files.get_file_info(fs.FileSelector(root, recursive=True)) if one.is_file]


@needs_postgres
@pytest.mark.slow
def test_a_search_with_nothing_on_the_disk(
    s3: str, server: Server, tmp_path: Path, run: Run, data_flags: list[str], space: Path
) -> None:
    storage = f"s3://bucket/search?{s3}"
    services = ["--storage", storage, "--study-url", server.url(), "--data-dir", tmp_path / "cache"]
    flags = [*data_flags, "--search-space", space, *services, "--epochs", 2, "--eval-every", 1, "--seeds", 1]
    done = run(tmp_path, "tune", *flags, "--trials", 2, "--summary", "s.json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "s.json").read_text())
    test = told["test"]["ndcg_at_10"]
    assert sum(told["trials"].values()) == 2 and test["mean"] > 0 and test["std"] is None  # of one seed
    kept = names(storage)
    assert any(path.endswith("outcome.json") for path in kept) and any("/test-train/" in path for path in kept)
    assert not any("/trials/" in path or "/checkpoints/" in path for path in kept)
    assert not (tmp_path / "unblur-runs").exists()
    again = run(tmp_path, "tune", *flags, "--trials", 2, "--summary", "t.json")
    assert again.returncode == 0 and json.loads((tmp_path / "t.json").read_text())["test"] == told["test"]


def test_raw_data_in_a_bucket(s3: str, tmp_path: Path) -> None:
    place = f"s3://bucket/raw/plays.csv?{s3}"
    write_text(place, "user,item\nann,tea\n")
    file = remote.fetched(place, tmp_path)
    assert file.name == "plays.csv" and file.read_text() == "user,item\nann,tea\n"
    file.write_text("kept")
    assert remote.fetched(place, tmp_path).read_text() == "kept"
    with pytest.raises(UserError, match=r"--dataset s3://bucket/raw/gone.csv.*: cannot be fetched: there is no such"):
        remote.fetched(place.replace("plays", "gone"), tmp_path)


def test_checkpoints_in_a_bucket(s3: str) -> None:
    import torch

    from unblur.training.checkpoints import Checkpoint

    checkpoints = Checkpoints(under(f"s3://bucket/training?{s3}", "00001", "checkpoints"))
    assert checkpoints.newest() is None
    for epoch in (5, 10, 15):
        checkpoints.save(Checkpoint(epoch, {"w": torch.full((3,), float(epoch))}, {}))
    newest = checkpoints.newest()
    assert newest is not None and newest.epoch == 15 and len(names(checkpoints.folder)) == 2
    files, _ = filesystem(checkpoints.folder)
    with files.open_output_stream(sorted(names(checkpoints.folder))[-1]) as damaged:
        damaged.write(b"half")
    newest = checkpoints.newest()
    assert newest is not None and newest.epoch == 10
    checkpoints.clear()
    assert names(f"s3://bucket/training?{s3}") == []


def told_by_check(tmp_path: Path, wrong: bool = True, **options: object) -> str:
    console = Console(record=True, width=1000, file=(tmp_path / "console").open("w"))
    asked = SearchOptions(
        **{"storage": str(tmp_path / "runs"), "tracking_uri": new_database(tmp_path, "m.db"), **options}
    )
    if wrong:
        with pytest.raises(UserError, match="of 4 services cannot be used"):
            check(asked, console)
    else:
        check(asked, console)
    return console.export_text()


@needs_postgres
def test_check_when_all_is_well(s3: str, server: Server, tmp_path: Path, local_ray: None) -> None:
    told = told_by_check(tmp_path, wrong=False, storage=f"s3://bucket/check?{s3}", study_url=server.url())
    assert re.findall(r"^ok +([\w ]+):", told, flags=re.M) == ["storage", "study database", "MLflow", "Ray"]
    assert names(f"s3://bucket/check?{s3}") == [] and "p{w}d" not in told
    assert told_by_check(tmp_path, wrong=False).count("ok ") == 4
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["study.db"]


def test_check_names_every_setting_that_is_wrong(s3: str, tmp_path: Path, local_ray: None) -> None:
    port = free_port()
    told = told_by_check(
        tmp_path,
        storage=f"s3://absent/x?{s3}",
        study_url=f"postgresql://ann:hush@127.0.0.1:{port}/study",
        tracking_uri=f"http://ann:hush@127.0.0.1:{port}",
        gpus_per_worker=64,
    )
    lines = re.findall(r"^WRONG +(.*)$", told, flags=re.M)
    settings = [r"storage: --storage.*'absent' not found", "--study-url.*refused", "--tracking-uri.*refused"]
    assert len(lines) == 4 and all(re.search(s, line) for s, line in zip(settings, lines, strict=False))
    assert "--gpus-per-worker" in lines[3] and "hush" not in told


@pytest.mark.parametrize("where", ["closed", "password"])
def test_check_of_a_bucket_behind(s3: str, where: str, tmp_path: Path, local_ray: None) -> None:
    if where == "closed":
        storage = f"s3://bucket/x?endpoint_override=127.0.0.1:{free_port()}&scheme=http&region=us-east-1"
        told = told_by_check(tmp_path, storage=storage, study_url=f"sqlite:///{tmp_path}/s.db")
        assert re.search("WRONG +storage: --storage.*(onnect|CONNECTION).*endpoint_override", told)
    else:
        told = told_by_check(
            tmp_path, wrong=False, storage=f"s3://key:hush@bucket/x?{s3}", study_url=f"sqlite:///{tmp_path}/s.db"
        )
        assert "hush" not in told


def test_check_of_a_bucket_with_wrong_credentials(
    s3: str, tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)  # from here on keys are looked at
    told = told_by_check(tmp_path, storage=f"s3://bucket/x?{s3}", study_url=f"sqlite:///{tmp_path}/s.db")
    assert re.search("WRONG +storage: --storage .*(ACCESS_DENIED|InvalidAccessKeyId|403).*AWS_SECRET_ACCESS_KEY", told)
    assert "hush" not in told


@needs_postgres
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": "hush"}, "password authentication failed"),
        ({"database": "absent"}, "does not exist"),
        ({"database": "postgres?options=-cdefault_transaction_read_only%3Don"}, "read-only transaction"),
    ],
)
def test_check_of_a_database_that_does_not_let_it_in(
    server: Server, tmp_path: Path, local_ray: None, changes: dict[str, str], says: str
) -> None:
    told = told_by_check(tmp_path, study_url=server.url(**changes))
    assert re.search(f"WRONG +study database: .*--study-url.*{says}", told)
    assert "hush" not in told and "p{w}d" not in told


def test_check_of_an_mlflow_server_that_cannot_keep_artifacts(tmp_path: Path, local_ray: None) -> None:
    (folder := tmp_path / "server").mkdir()
    (folder / "artifacts").write_text("where the server wants a folder")
    mlflow = MLflow(folder)
    mlflow.start()
    try:
        told = told_by_check(tmp_path, tracking_uri=mlflow.uri)
    finally:
        mlflow.stop()
    assert re.search(f"WRONG +MLflow: --tracking-uri.*{mlflow.uri}", told)


def test_check_of_a_read_only_path(tmp_path: Path, local_ray: None) -> None:
    (disk := tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a read-only tmpfs needs root")
    try:
        told = told_by_check(tmp_path, storage=str(disk / "runs"))
    finally:
        subprocess.run(["umount", disk], check=True)
    assert re.search(r"WRONG +storage: --storage .*ead-only", told)
    assert re.search(r"WRONG +study database: .*--storage.*ead-only", told)


def test_check_of_a_ray_address_that_is_none(tmp_path: Path) -> None:
    address = "http://127.0.0.1:8265"
    where = {**environment(), "RAY_ADDRESS": address}
    done = subprocess.run(command("tune", "--check"), cwd=tmp_path, env=where, capture_output=True, text=True)
    assert f"WRONG  Ray: no Ray cluster answers at {address} (this is no HOST:PORT). Set RAY_ADDRESS" in done.stdout
    assert done.returncode == 2
    assert_mendable(done.returncode, done.stdout, done.stderr)
