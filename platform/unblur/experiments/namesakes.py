"""Other data with the same name, which is that of a file without its folder: told before anything is trained."""

from unblur.experiments.prepared import PreparedData
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found, Reader


def namesakes(store: Store, data: PreparedData) -> str | None:
    """A sentence on the studies from other raw data in the experiment of these, if there are any."""
    reader = Reader(store)
    experiment = reader.find(data.experiment)
    kinds = ("study", "ablation") if experiment else ()
    parents = [run for kind in kinds for run in reader.runs(str(experiment), {names.KIND: kind})]
    others = sorted({_origin(run) for run in parents if run.source_digest not in ("", data.facts.source_digest)})
    if not others:
        return None
    return (
        f"the experiment {data.experiment} in MLflow has studies of other data too: {', '.join(others)}; a report "
        "takes those of the file that --dataset names"
    )


def _origin(run: Found) -> str:
    return f"{run.asked or run.dataset} (sha256 {run.source_digest[:12]})"
