"""The study on a real PostgreSQL: resumes, one driver, credentials, a restart under the search."""

import itertools
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import yaml
from tests.helpers import ROOT
from tests.helpers.toy_study import identity, run, table

from unblur.errors import RunFailed, UserError
from unblur.processes import free_port
from unblur.search import lease, storage
from unblur.search.lock import driving
from unblur.search.storage import local_url
from unblur.search.study import Study

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server under /usr/lib/postgresql")


class Server:
    """A private server on a free port; it refuses to run as root, so root lends it to another user."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.port = free_port()
        (folder / "password").write_text("p{w}d")
        user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        for path in (folder, folder / "password"):
            shutil.chown(path, user.pw_uid, user.pw_gid) if os.getuid() == 0 else None
        self._run("initdb", "-U", "ann", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-N")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(BINARIES[-1] / program), "-D", str(self.data), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, capture_output=True, timeout=600, **self.who)  # type: ignore[call-overload]

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, password: str = "p%7Bw%7Dd", database: str = "postgres") -> str:
        return f"postgresql://ann:{password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="unblur-pg-", dir="/tmp"))
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_same_record_as_sqlite_in_pieces(server: Server, tmp_path: Path) -> None:
    whole = Study.open(identity(), local_url(tmp_path))
    run(whole, 12)
    run(Study.open(identity(), server.url()), 12, die_at=(5, 2))
    resumed = Study.open(identity(), server.url())
    run(resumed, 12)
    assert table(resumed) == table(whole)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": "wrong-secret"}, "password authentication failed"),
        ({"database": "absent"}, "absent.*does not exist"),
    ],
)
def test_wrong_settings_are_named_and_credentials_are_not(server: Server, changes: dict[str, str], says: str) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=rf"--study-url.*ann:\*\*\*@127.0.0.1.*{says}") as caught:
        Study.open(identity(), server.url(**changes))
    assert "wrong-secret" not in str(caught.value) and "p{w}d" not in str(caught.value)
    assert time.monotonic() - start < 10


def test_one_live_driver(server: Server) -> None:
    busy = pytest.raises(UserError, match=f"driven by process {os.getpid()} on")
    with driving(server.url(), "a"), driving(server.url(), "b"), busy, driving(server.url(), "a"):
        pass
    assert holders(server, "a") == [], "it is free at once"


def test_the_cluster_on_aws_makes_its_databases_once(server: Server) -> None:
    (command,) = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())["head_setup_commands"]
    *program, code = shlex.split(command)
    here = f"host=127.0.0.1 port={server.port} user=ann password=p{{w}}d"
    assert program == ["python", "-c"] and "host=YOUR-DATABASE user=unblur" in code
    for _ in range(2):
        exec(code.replace("host=YOUR-DATABASE user=unblur", here), {})
    with psycopg.connect(server.url()) as connection:
        assert {"studies", "mlflow"} <= {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def holders(server: Server, study: str) -> list[str]:
    with psycopg.connect(server.url()) as connection:
        return [row[0] for row in connection.execute("SELECT holder FROM unblur_lease WHERE study = %s", [study])]


def terminate(server: Server) -> int:
    """End all of the drivers' connections, as a restart, an idle time-out or an administrator does."""
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'ann'"
    with psycopg.connect(server.url()) as connection:
        return len(connection.execute(kill).fetchall())


def test_a_driver_whose_connections_are_ended_still_holds_its_study(server: Server) -> None:
    study = Study.open(identity(seed=11), server.url())
    with driving(server.url(), study.name) as study.guard:
        number, _ = study.ask()
        assert terminate(server) > 0
        with pytest.raises(UserError, match="is already being driven"), driving(server.url(), study.name):
            pass
        assert terminate(server) > 0
        study.report(number, 1, 0.5)
        assert study.complete(number).value == 0.5


def test_a_driver_that_was_not_heard_of_is_succeeded_and_stops(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 1e6)  # as a machine that sleeps
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    first, second = (Study.open(identity(seed=12), server.url()) for _ in range(2))
    with ExitStack() as stack:
        first.guard = stack.enter_context(driving(server.url(), first.name))
        number, params = first.ask()
        monkeypatch.setattr(lease, "BEAT_SECONDS", 0.2)
        with driving(server.url(), second.name) as second.guard:
            assert second.ask() == (number, params), "the trial of the first is interrupted"
            for write in (lambda: first.report(number, 1, 0.1), first.ask, lambda: first.prune(number)):
                with pytest.raises(RunFailed, match=rf"was taken over by process {os.getpid()} on .* It stops here"):
                    write()
            stack.close()
            assert len(holders(server, second.name)) == 1, "the first gives back nothing that it does not hold"
            second.report(number, 1, 0.7)
            assert second.complete(number).values == {1: 0.7}


HOLDER = """
import sys, time
from unblur.search.lock import driving
with driving(sys.argv[1], "dead"):
    print("held", flush=True)
    time.sleep(1000)
"""


def test_a_driver_that_was_killed_is_succeeded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 2.0)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, server.url()], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    with driving(server.url(), "dead") as sure:
        sure()
    holder.stdout.close()


def test_a_restart_under_the_search_is_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Study.open(identity(seed=7), local_url(tmp_path))
    run(whole, 40)
    study = Study.open(identity(seed=7), server.url())
    report, count, back = study.report, itertools.count(), threading.Timer(1, server.start)

    def report_and_stop(number: int, epoch: int, value: float) -> bool:
        if next(count) == 30:
            server.stop()
            back.start()
        return report(number, epoch, value)

    monkeypatch.setattr(study, "report", report_and_stop)
    run(study, 40)
    back.join()
    assert table(study) == table(whole)


def test_a_server_that_stays_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(identity(seed=8), server.url())
    monkeypatch.setattr(storage, "RETRY_DELAYS", (0.1, 0.1))
    server.stop()
    try:
        with pytest.raises(RunFailed, match=r"stopped answering.*refused.*run the same command again"):
            study.ask()
    finally:
        server.start()
    assert study.ask()[0] == 0
