"""A real Prometheus, and what the dashboards ask of it."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.helpers import ROOT
from unblur.processes import free_port

BOARD = ROOT / "dashboards/grafana/unblur.json"
SERVER = ROOT / "dashboards/prometheus/prometheus.yml"
RULES = ROOT / "dashboards/prometheus/alerts.yml"


def binary(name: str) -> str:
    """Of Debian's package `prometheus`; the test is skipped where it is not installed."""
    if (found := which(name)) is None:
        pytest.skip(f"{name} is not installed")
    return found


def panels() -> dict[str, list[str]]:
    """The queries of the dashboard by panel, its variables put in as Grafana does, the studies all."""
    board = json.loads(BOARD.read_text())
    values = {each["name"]: each.get("allValue") or each["query"] for each in board["templating"]["list"]}
    return {
        panel["title"]: [re.sub(r"\$(\w+)", lambda name: values[name[1]], each["expr"]) for each in panel["targets"]]
        for panel in board["panels"]
    }


def alerts() -> dict[str, str]:
    """The expressions of the alerts by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


class Prometheus:
    """A server as `dashboards/prometheus` sets it up, but every second, for a Ray whose temporary folder is `ray`."""

    def __init__(self, folder: Path, ray: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        text = SERVER.read_text().replace("/tmp/ray/", f"{ray}/").replace("10s", "1s")
        (file := folder / "prometheus.yml").write_text(text.replace(RULES.name, str(RULES)))
        self.command = [binary("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'series'}"]
        self.command += [f"--web.listen-address={self.address}"]
        self.log = folder / "prometheus.log"

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        with self.log.open("wb") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log)
        try:
            while not self._ready():
                assert process.poll() is None, self.log.read_text()
                time.sleep(0.1)
            yield self
        finally:
            process.kill()
            process.wait()

    def values(self, query: str, seconds: float) -> list[float]:
        """Every point of every series of a query over the last seconds."""
        now = time.time()
        found = self._asked("query_range", query=query, start=now - seconds, end=now, step=1)["result"]
        return [float(value) for series in found for _, value in series["values"]]

    def rules(self) -> list[Mapping[str, Any]]:
        """The alerts with their health."""
        return [rule for group in self._asked("rules")["groups"] for rule in group["rules"]]

    def _asked(self, what: str, **of: object) -> Any:
        with urlopen(f"http://{self.address}/api/v1/{what}?{urlencode(of)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def _ready(self) -> bool:
        try:
            with urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
