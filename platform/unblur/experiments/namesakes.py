"""Other data with the same name, which is that of a file without its folder: told before anything is trained."""

import json

from unblur.experiments.prepared import PreparedData
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found, Reader


def namesakes(store: Store, data: PreparedData) -> str | None:
    """A sentence on the studies from other raw data in the experiment of these, if there are any."""
    reader = Reader(store)
    experiment = reader.find(data.experiment)
    runs = reader.runs(experiment, {}) if experiment else []
    parents = [run for run in runs if run.tags.get(names.KIND) in ("study", "ablation")]
    others = sorted({_origin(run) for run in parents if _source(run) not in ("", data.facts.source_digest)})
    if not others:
        return None
    return (
        f"the experiment {data.experiment} in MLflow has studies of other data too: {', '.join(others)}; a report "
        "takes those of the file that --dataset names"
    )


def _source(run: Found) -> str:
    return str(run.facts.get("source_digest", ""))


def _origin(run: Found) -> str:
    asked: dict[str, str] = json.loads(run.tags.get(names.DATA_REQUEST, "{}"))
    return f"{asked.get('dataset', run.dataset)} (sha256 {_source(run)[:12]})"
