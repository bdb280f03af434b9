"""The tracking store is checked before anything starts, and says what is wrong without naming a password."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unblur.errors import UserError
from unblur.processes import free_port
from unblur.tracking import client
from unblur.tracking.address import explain, resolve
from unblur.tracking.client import Store, connect


def test_the_default_is_a_database_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    monkeypatch.chdir(folder)
    store = connect()
    assert store.uri == f"sqlite:///{folder}/mlflow.db"
    experiment = store.client.get_experiment(store.experiment("toys/clean"))
    assert experiment.artifact_location == (folder / "mlartifacts" / "toys_clean").as_uri()
    assert "MLFLOW_EXPERIMENT_ID" not in os.environ
    assert sorted(path.name for path in folder.iterdir()) == ["mlartifacts", "mlflow.db"]


def test_a_folder_of_artifacts_that_was_moved_is_missed_and_not_made_anew(store: Store, tmp_path: Path) -> None:
    store.experiment("toys/clean")
    folder, elsewhere = tmp_path / "mlartifacts" / "toys_clean", tmp_path / "elsewhere"
    folder.rename(elsewhere)
    with pytest.raises(UserError, match=f"'toys/clean' .* keeps its files in {folder}.*ln -s NEW {folder}") as refused:
        store.experiment("toys/clean")
    assert not folder.exists() and f"mkdir -p {folder}" in str(refused.value)
    folder.symlink_to(elsewhere)  # as it says
    store.experiment("toys/clean")


def test_what_the_file_system_says_of_a_file_is_not_told_as_a_fault_of_mlflow(store: Store, tmp_path: Path) -> None:
    missing = tmp_path / "runs" / "model"
    with pytest.raises(UserError, match=f"^{missing}: No such file or directory") as told, store.explained():
        missing.read_text()
    assert "MLflow" not in str(told.value) and "--tracking-uri" not in str(told.value)


def test_paths_are_made_absolute(tmp_path: Path) -> None:
    assert resolve("sqlite:///runs.db", tmp_path) == f"sqlite:///{tmp_path}/runs.db"
    assert resolve("sqlite:////var/runs.db?timeout=3", tmp_path) == "sqlite:////var/runs.db?timeout=3"
    assert resolve("https://mlflow.example", tmp_path) == "https://mlflow.example"


@pytest.mark.parametrize("uri", ["./mlruns", "/tmp/mlruns", "file:///tmp/mlruns", "file:mlruns", "sqlite://"])
def test_stores_that_would_lose_the_record_are_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--tracking-uri.*sqlite:///"):
        resolve(uri, tmp_path)


def test_an_experiment_is_made_once(store: Store) -> None:
    assert store.experiment("toys/clean") == store.experiment("toys/clean") != store.experiment("toys/noisy")


def test_a_deleted_experiment_is_named(store: Store) -> None:
    store.client.delete_experiment(store.experiment("toys/clean"))
    with pytest.raises(UserError, match="mlflow experiments restore"):
        store.experiment("toys/clean")


def test_drivers_that_start_at_once_make_one_sound_database(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: connect(f"sqlite:///{tmp_path}/mlflow.db"), range(4)))
    assert len({store.experiment("toys/clean") for store in stores}) == 1


@pytest.mark.parametrize("content", [b"not a database, and long enough to be taken for one" * 20])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot write the MLflow database .*mlflow\.db.*not a database"):
        connect(f"sqlite:///{tmp_path}/mlflow.db")


HOLDS = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_who_keeps_a_database_locked_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that was stopped in the middle of a write, for example."""
    monkeypatch.setattr(client, "LOCK_SECONDS", 0.1)
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "mlflow.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdin
        holder.stdout.readline()
        who = f"mlflow.db is locked by process {holder.pid}. Let it go on .kill -CONT {holder.pid}, if it was stopped"
        with pytest.raises(UserError, match=who):
            connect(store.uri)
        said = explain(store.address, Exception("(sqlite3.OperationalError) database is locked"))
        assert re.search(who, said), "while it runs too"
        holder.stdin.close()
    assert "is locked by another process" in explain(store.address, Exception("database is locked"))
    connect(store.uri)


def test_an_unwritable_place_is_refused() -> None:
    with pytest.raises(UserError, match="cannot write the MLflow database /proc/nowhere"):
        connect("sqlite:////proc/nowhere/mlflow.db")


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_closed_port_is_reported_at_once_without_the_password(scheme: str) -> None:
    port = free_port()
    begin = time.monotonic()
    with pytest.raises(UserError) as raised:
        connect(f"{scheme}://bertha:s3cret@127.0.0.1:{port}/db")
    assert time.monotonic() - begin < 30
    message = str(raised.value)
    assert "--tracking-uri" in message and f"{scheme}://127.0.0.1:{port}" in message and "refused" in message
    assert "s3cret" not in message and "bertha" not in message
    assert raised.value.__suppress_context__  # a traceback would print the original text


def test_a_server_that_never_answers_is_reported_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with pytest.raises(UserError, match="does not answer"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < 30, "MLflow itself would try for longer"


def test_what_mlflow_says_is_whole_and_its_command_can_be_pasted() -> None:
    """Of a database with an older schema; its text has 363 characters."""
    said = (
        "Detected out-of-date database schema (found version abc, but expected def). Take a backup of your database, "
        "then run 'mlflow db upgrade <database_uri>' to migrate your database to the latest schema. NOTE: schema "
        "migration may result in database downtime - please consult your database's documentation for more detail."
    )
    told = explain("sqlite:////a b/m.db", Exception(said))
    assert "mlflow db upgrade 'sqlite:////a b/m.db'" in told and told.endswith("for more detail.")
    cut = explain("sqlite:///m.db", Exception("word " * 200))
    assert "word …. Leave --tracking-uri out" in cut and len(cut) < 600


def test_wrong_credentials_name_the_variables_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as refusing:

        def answer() -> None:
            connection, _ = refusing.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(UserError, match="MLFLOW_TRACKING_USERNAME"):
            connect(f"http://127.0.0.1:{refusing.getsockname()[1]}")


def test_a_store_does_not_show_its_password() -> None:
    store = Store("http://bertha:s3cret@h", None, None)
    assert store.address == "http://h" and "s3cret" not in repr(store)
