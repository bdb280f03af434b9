"""`params: best`: a part of a model, as of a blend, becomes what the search of that model on the same data found."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console

from unblur import models
from unblur.errors import UserError
from unblur.evaluation.measuring import spelled
from unblur.experiments.context import Session
from unblur.experiments.prepared import PreparedData
from unblur.parts import BEST
from unblur.search.inference_grid import written
from unblur.search.space import SearchSpace
from unblur.tracking import names
from unblur.tracking.client import Store
from unblur.tracking.reader import Found, Reader


@dataclass
class Winners:
    """The best configurations that finished searches on these data have found, by a metric on their validation part."""

    store: Store
    data: PreparedData
    metric: str
    console: Console
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The winners that were looked up, by model."""

    @classmethod
    def on(cls, session: Session, console: Console) -> Self:
        return cls(session.store, session.data, session.schedule.metric, console)

    def of(self, space: SearchSpace) -> SearchSpace:
        """The space with every `params: best` replaced; UserError where no search of such a model is finished."""
        return space.model_copy(update={"fixed": self.resolved(space.fixed)})

    def resolved(self, value: Any) -> Any:
        """The same with every `params: best` in it replaced; UserError where no search of such a model is finished."""
        match value:
            case {"model": str(model), "params": params, **rest} if params == BEST:
                if model not in self.known:
                    self.known[model] = self._winner(model)
                return {"model": model, **self.known[model], **rest}
            case dict():
                return {name: self.resolved(each) for name, each in value.items()}
            case list() | tuple():
                return [self.resolved(each) for each in value]
        return value

    def _winner(self, model: str) -> dict[str, Any]:
        """The part's `params`, and the `epochs` of one that is trained by gradient."""
        found = max(self._searches(model), key=lambda run: run.metrics[names.best(self.metric)], default=None)
        if found is None:
            raise UserError(self._missing(model))
        params: dict[str, Any] = json.loads(found.tags[names.PARAMS])
        epochs = {"epochs": int(found.tags[names.EPOCHS])} if models.trained_by_gradient(model) else {}
        value = f"{spelled(self.metric)} {found.metrics[names.best(self.metric)]:.4f} on validation"
        self.console.print(f"{model}, best: {value}, {written({**params, **epochs})}", markup=False)
        return {"params": params, **epochs}

    def _searches(self, model: str) -> list[Found]:
        data = self.data
        like = {
            names.KIND: "study",
            names.PURPOSE: "search",
            names.MODEL: model,
            names.DATASET_DIGEST: data.digest,
            names.VALIDATION: data.validation,
        }
        runs = Reader(self.store).runs(self.store.experiment(data.experiment), like)
        # what is noted at the very end is there, for the metric that is asked for
        return [run for run in runs if {names.PARAMS, names.EPOCHS} <= run.tags.keys() and _by(run, self.metric)]

    def _missing(self, model: str) -> str:
        data, metric = self.data, spelled(self.metric)
        asked = f"unblur tune --dataset {data.request.dataset} --model {model} --metric {metric}"
        return (
            f"params: {BEST} of {model}: no search of it on {data.name} that selects by {metric} on validation "
            f"{data.validation} is finished: run {asked} --validation {data.validation} first, or give its params"
        )


def _by(run: Found, metric: str) -> bool:
    return run.params.get("metric") == metric and names.best(metric) in run.metrics
