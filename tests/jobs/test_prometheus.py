"""A real Prometheus scrapes a search while it runs: every panel of the dashboard has something to show."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.jobs import command, environment
from tests.helpers.prometheus import Prometheus, alerts, binary, panels

SECONDS = 900  # of a search on a busy machine


@pytest.fixture
def temporary() -> Iterator[Path]:
    """With a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.slow
def test_every_panel_shows_something_of_a_running_search(
    temporary: Path, tmp_path: Path, data_flags: list[str], space: Path
) -> None:
    binary("prometheus")
    # Ray's agents tell what they hear only after some 20 s, and the search must outlast that on a fast machine
    flags = [*data_flags, "--search-space", space, "--trials", 3, "--epochs", 1500, "--patience", 1500, "--seeds", 1]
    told = {"RAY_TMPDIR": str(temporary), "RAY_metrics_report_interval_ms": "1000"}
    begun = time.monotonic()
    with (tmp_path / "tune.log").open("wb") as log:
        search = subprocess.Popen(
            command("tune", *flags), cwd=tmp_path, env={**environment(), **told}, stdout=log, stderr=log
        )
    try:
        wait_for(temporary / "ray/prom_metrics_service_discovery.json", search, tmp_path / "tune.log")
        with Prometheus(tmp_path, temporary / "ray").running() as prometheus:
            search.wait(SECONDS)
            seconds = time.monotonic() - begun
            shown = {each: prometheus.values(each, seconds) for all in panels().values() for each in all}
            assert [query for query, values in shown.items() if not values] == []
            assert max(prometheus.values('ray_unblur_tasks{kind="trial", state="complete"}', seconds)) >= 1
            assert max(prometheus.values("ray_unblur_best", seconds)) > 0
            assert max(prometheus.values("ray_unblur_wanted{kind='trial'}", seconds)) == 3
            rules = prometheus.rules()
            assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(alerts(), "ok")
    finally:
        search.kill()
        search.wait()
    assert search.returncode == 0, (tmp_path / "tune.log").read_text()


def wait_for(file: Path, search: subprocess.Popen[bytes], log: Path) -> None:
    """Until the dashboard of the search's own cluster has said where metrics are told."""
    while not file.exists():
        assert search.poll() is None, log.read_text()
        time.sleep(0.2)
