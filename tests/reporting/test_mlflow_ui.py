"""MLflow's own compare view shows the studies under names and with figures that people can read."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.helpers.mlflow_pages import served

from unblur.tracking.client import Store

UI_OWN = "users/current"  # asked for by the UI, and answered only by servers with accounts


def test_compare_view(browser: Any, toys: Store, tmp_path: Path) -> None:
    experiment = toys.client.get_experiment_by_name("amazon_toys/clean").experiment_id
    runs = toys.client.search_runs([experiment], "tags.`unblur.kind` = 'study'")
    chosen = (
        f"runs={quote(json.dumps([run.info.run_id for run in runs]))}&experiments={quote(json.dumps([experiment]))}"
    )
    browser.get_log("browser")
    with served(toys, tmp_path) as uri:
        browser.get(f"{uri}/#/compare-runs?{chosen}")
        text = _text_with(browser, "test/recall_at_10_std", seconds=90)
        assert browser.find_elements("css selector", ".js-plotly-plot svg")
        browser.get("about:blank")
    for run in runs:
        assert run.info.run_name in text
        assert str(round(run.data.metrics["test/ndcg_at_10"], 3)) in text
    assert f"Comparing {len(runs)} Runs" in text
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in errors if UI_OWN not in message] == []


def _text_with(browser: Any, wanted: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        text = str(browser.find_element("css selector", "body").text)
        plotted = browser.find_elements("css selector", ".js-plotly-plot svg")
        if wanted in text and plotted:
            return text
        assert time.monotonic() < deadline, text
        time.sleep(0.5)
