"""Saved views of an experiment in MLflow's own pages, which has them in its menu `Views`, and links to them.

MLflow keeps a view as a tag of the experiment, `mlflow.sharedViewState.<id>`: an envelope with its name, its times (ms
since 1970) and its state, which is the JSON of filter, order, columns and charts, deflated and in base64.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from unblur.evaluation.measuring import spelled
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.runs import now
from unblur.tracking.writer import having

TAG = "mlflow.sharedViewState."
OURS = "unblur-"
"""How the ids of our views begin."""
COMPRESSED = "deflate;"
RUNS = 20
"""Runs that a chart shows; MLflow's own default is the first ten."""


@dataclass(frozen=True)
class View:
    """What a page of MLflow shows of an experiment's runs, sorted by a metric, the best first."""

    name: str
    """In the menu; the view is known by it."""
    kind: str
    """Of the runs (`names.KIND`)."""
    order: str
    """The metric that they are sorted by."""
    columns: Sequence[str]
    """Made by `metric`, `param` and `tag`."""
    charts: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str] = field(default_factory=dict)
    """That the runs have beside their kind."""
    mode: Literal["TABLE", "CHART"] = "TABLE"
    """How its link opens it."""

    @property
    def id(self) -> str:
        """The same for the same name: a link stays good."""
        return OURS + re.sub(r"[^A-Za-z0-9]+", "-", self.name)

    @property
    def state(self) -> dict[str, Any]:
        """As MLflow's page has it; what is left out has its defaults."""
        wanted = {names.KIND: self.kind, **self.tags}
        section = {"uuid": self.id, "name": self.name, "display": True, "isReordered": True, "deleted": False}
        charts = [
            {"uuid": f"{self.id}-{place}", "metricSectionId": self.id, "deleted": False, "isGenerated": False, **chart}
            for place, chart in enumerate(self.charts)
        ]
        return {
            "searchFilter": having(wanted),
            "orderByKey": self.order,
            "orderByAsc": False,
            "selectedColumns": list(self.columns),
            "runsHiddenMode": "FIRST_20_RUNS",
            "compareRunCharts": charts,
            "compareRunSections": [section],
            "isAccordionReordered": True,  # ours first, then MLflow's own
        }

    def path(self, experiment_id: str) -> str:
        """Its place below the address of MLflow's pages."""
        mode = "&compareRunsMode=CHART" if self.mode == "CHART" else ""
        return _place(experiment_id, self.id) + mode


def metric(name: str) -> str:
    """A metric as MLflow's pages name its column."""
    return f"metrics.`{name}`"


def param(name: str) -> str:
    """A parameter as MLflow's pages name its column."""
    return f"params.`{name}`"


def tag(name: str) -> str:
    """A tag as MLflow's pages name its column."""
    return f"tags.`{name}`"


def of_experiment(decides: str) -> list[View]:
    """What all studies of an experiment have that are decided by a metric (`ndcg_at_10`): models, learning curves."""
    return [_models(decides), _curves(decides)]


def of_trials(decides: str, model: str, searched: Mapping[str, bool], swept: Sequence[str]) -> View:
    """The trials of a model.

    searched: the parameters that are drawn, and whether every trial has them. swept: the numbers among the settings of
    inference that are chosen on validation.
    """
    best, always = names.best(decides), [name for name, every in searched.items() if every]
    columns = [
        *map(metric, (best, *map(names.inference, swept), names.FACTS["seconds"])),
        *map(param, searched),
        tag(names.STATE),
    ]
    # a trial that lacks one of its parameters is not in this chart
    parallel = {"type": "PARALLEL", "selectedParams": always, "selectedMetrics": [best], "showAllRuns": True}
    charts = [{**parallel, "runsCountToCompare": RUNS}, _line(names.valid(decides))]
    name = f"trials of {model} by {spelled(decides)}"
    return View(name, "trial", metric(best), columns, charts, {names.MODEL: model})


def save(store: Store, experiment_id: str, views: Iterable[View]) -> None:
    """Give the experiment these views, in this order in the menu; raises UserError.

    One that is there stays as it is, also as a person has changed it, but for columns that it lacks: studies of a model
    in one experiment may draw other parameters.
    """
    with store.explained():
        there = store.client.get_experiment(experiment_id).tags
        for place, view in enumerate(views):
            wanted, found = view.state, _state(there.get(TAG + view.id))
            missing = [column for column in view.columns if column not in (found or {}).get("selectedColumns", [])]
            if found is not None and missing:
                wanted = {**found, "selectedColumns": [*found.get("selectedColumns", []), *missing]}
            if found is None or missing:
                store.client.set_experiment_tag(
                    experiment_id, TAG + view.id, _enveloped(view.name, wanted, now() - place)
                )


def saved(store: Store) -> Iterator[tuple[str, str, str]]:
    """The views that there are: experiment, name of the view, its place below the address of MLflow's pages."""
    with store.explained():
        experiments = store.client.search_experiments()
    for experiment in experiments:
        for key, envelope in experiment.tags.items():
            if key.startswith(TAG + OURS):
                name = json.loads(envelope)["name"]
                yield experiment.name, name, _place(experiment.experiment_id, key.removeprefix(TAG))


def _place(experiment_id: str, view_id: str) -> str:
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={view_id}"


def _models(decides: str) -> View:
    test = names.test(decides)
    columns = [
        tag(names.MODEL),
        *map(metric, (test, names.deviation(test), names.over_popularity(decides), names.best(decides))),
        metric(names.FACTS["seconds"]),
        metric(names.CORE_HOURS),
    ]
    charts = [_bars(test), _bars(names.over_popularity(decides))]
    return View(f"models by {spelled(decides)}", "study", metric(test), columns, charts)


def _curves(decides: str) -> View:
    best, loss = names.best(decides), names.FACTS["loss"]
    columns = [tag(names.MODEL), metric(best), metric(names.valid(decides)), metric(loss), tag(names.STATE)]
    charts = [_line(names.valid(decides)), _line(loss)]
    return View(f"curves of {spelled(decides)}", "trial", metric(best), columns, charts, mode="CHART")


def _bars(name: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": name, "runsCountToCompare": RUNS}


def _line(name: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "metricKey": name,
        "runsCountToCompare": RUNS,
        "lineSmoothness": 0,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _enveloped(name: str, state: Mapping[str, Any], when: int) -> str:
    """The tag's value; MLflow's menu has the newest view first."""
    packed = COMPRESSED + b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": when, "updatedAt": when, "state": packed})


def _state(envelope: str | None) -> dict[str, Any] | None:
    """What an experiment's tag holds; None where there is none, or nothing that can be read."""
    try:
        state = json.loads(envelope or "")["state"]
        if state.startswith(COMPRESSED):
            state = zlib.decompress(b64decode(state.removeprefix(COMPRESSED)))
        return dict(json.loads(state))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None
