"""Unblur from Python: `import unblur`, then `unblur.tune(...)` and so on; what the command line calls, in values.

Every function takes the command line's flags as keyword arguments: `eval_every=5` for `--eval-every 5`; `unblur tune
--help` lists them. `data` is a preset's name, the path of a CSV, TSV or Parquet file, a pandas DataFrame (columns user,
item and, if there are any, rating and timestamp; other names by `user_column=` and so on), or what `load_data`
returned. Nothing is printed; give `console=rich.console.Console()` to see what the command line shows. What has been
done is not done again: the same call goes on where an earlier one was, also after a death.

All raise `unblur.errors.UserError` for a mistake in what is asked, before anything begins, and
`unblur.errors.RunFailed` when a run fails.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import pandas as pd
from rich.console import Console

from unblur import models
from unblur.data.frames import written
from unblur.data.request import DataRequest, name_of
from unblur.errors import UserError
from unblur.experiments import ablate as ablation
from unblur.experiments import describe as describing
from unblur.experiments import evaluate as evaluation
from unblur.experiments import recommend as recommending
from unblur.experiments import refit as refitting
from unblur.experiments import reproduce as reproduction
from unblur.experiments import train as training
from unblur.experiments import tune as tuning
from unblur.experiments.context import SILENT, absolute
from unblur.experiments.describe import DataDescription
from unblur.experiments.options import (
    AblateOptions,
    DescribeOptions,
    EvaluateOptions,
    PrepareOptions,
    RecommendOptions,
    RefitOptions,
    ReproduceOptions,
    SearchOptions,
    TrainOptions,
)
from unblur.experiments.prepared import PreparedData, prepare_data
from unblur.experiments.results import ComparisonResult
from unblur.models.serving import ServedModel
from unblur.options import Options
from unblur.reporting.attached import attach
from unblur.reporting.options import ReportOptions
from unblur.reporting.report import ReportResult
from unblur.reporting.report import report as compare_studies
from unblur.reporting.several_page import SeveralResult
from unblur.results import AblationStudy, Comparison, Evaluation, ReproductionStudy, Study
from unblur.tracking.client import connect
from unblur.tracking.registry import served

Data = str | Path | pd.DataFrame | PreparedData
Asked = TypeVar("Asked", bound=Options)
T = TypeVar("T")


def describe_data(file: str | Path | pd.DataFrame, **flags: Any) -> DataDescription:
    """What a file of one's own is: form, columns, counts, long tail, histories, times, ratings; as `unblur data`.

    flags: `user_column` and so on for what is not to be guessed, `min_rating`, `k_core`, `titles`, `out`. The result's
    `.file` is the description that was written, which is `data` for every other function. UserError where a column
    cannot be guessed: the question, with the columns there are.

    Examples:
        >>> import unblur
        >>> from pathlib import Path
        >>> _ = Path("rated.csv").write_text("movieId;userId;stars\\n10;1;4.5\\n11;1;2.0\\n10;2;5.0\\n")
        >>> found = unblur.describe_data("rated.csv")
        >>> found.guess.columns.user, found.guess.form.delimiter, found.facts.total.interactions
        ('userId', ';', 3)
        >>> found.file.name
        'rated.yaml'
    """
    return describing.describe(_made(DescribeOptions, {**flags, "file": _source(file, "./unblur-runs")}))


def load_data(data: Data = "sample", *, console: Console = SILENT, **flags: Any) -> PreparedData:
    """Find or download data, filter and split them; once, however often it is asked for. As `unblur prepare`.

    flags: of the data (`split`, `min_rating`, `user_column`, ...), `storage` and `data_dir`. The result has the parts
    that a search may see as sparse matrices (n_users, n_items), `.dataset.train` and `.dataset.valid`, and as a table,
    `.frame()`; the test part is locked away.

    Examples:
        >>> import unblur
        >>> data = unblur.load_data("sample")
        >>> data.dataset.train.shape
        (2000, 1000)
    """
    options = _options(PrepareOptions, data, flags)
    return prepare_data(options.data, absolute(options.storage), options.data_dir, console)


@overload
def tune(data: Data = ..., *, model: str = ..., console: Console = ..., **flags: Any) -> Study: ...
@overload
def tune(data: Data = ..., *, model: Sequence[str], console: Console = ..., **flags: Any) -> Comparison: ...
def tune(
    data: Data = "sample", *, model: str | Sequence[str] = "cfg_diffrec", console: Console = SILENT, **flags: Any
) -> Study | Comparison:
    """Search a model's hyperparameters, train the best with several seeds, test it once, register it.

    model: a recommender's name, or several, which get the same budget each and come back as a Comparison, in which a
    study that failed keeps its reason. flags: as `unblur tune` has them, such as `trials`, `epochs`, `seeds`,
    `metric`, `search_space`, `storage`, `tracking_uri`. Several models: `.best` is that of the best validation value.

    Examples:
        >>> import unblur
        >>> study = unblur.tune("sample", model="item_knn", trials=2, seeds=1)
        >>> study.test["recall@10"].mean > study.popularity["recall@10"]
        True
    """
    names = model if isinstance(model, str) else ",".join(model)
    options = _options(SearchOptions, data, {**flags, "model": names})
    result = tuning.tune(options, console)
    if result is not None:
        attach(result, options)
    if isinstance(result, ComparisonResult):
        return Comparison.of(result, options.tracking_uri)
    study = Study.of(_begun(result), options.tracking_uri)
    return study if isinstance(model, str) else Comparison({study.name: study}, {})


def train(
    data: Data = "sample",
    *,
    model: str = "cfg_diffrec",
    params: Mapping[str, Any] | None = None,
    console: Console = SILENT,
    **flags: Any,
) -> Study:
    """Train one configuration without a search, test it once per seed, register it.

    params: of the model's Config; what is left out has its default. flags: as `unblur train` has them, such as `seeds`
    and `epochs`.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", params={"l2": 100.0}, seeds=1)
        >>> study.frame()["ndcg@10"].tolist() == list(study.test["ndcg@10"].values)
        True
        >>> recommended = study.model().recommend([["0", "1"]], k=5)
        >>> len(recommended[0])
        5
    """
    options = _options(TrainOptions, data, {**flags, "model": model})
    if params is None:
        result = _begun(training.train(options, console))
    else:
        config = models.configure(model, dict(params), "params")
        result = _begun(training.train_configuration(options, config, console))
    attach(result, options)
    return Study.of(result, options.tracking_uri)


def refit(data: Data = "sample", *, model: str | Study | None = None, console: Console = SILENT, **flags: Any) -> str:
    """Train a tested configuration once more on all data, the test part included; the new model's `models:/...` URI.

    model: as in `evaluate`. No figure is of it: those of the model that it is made from are of one trained on less.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> whole = unblur.refit("sample", model=study)
        >>> unblur.recommend("sample", model=whole, users=["0"], k=3)["rank"].tolist()
        [1, 2, 3]
    """
    return _begun(refitting.refit(_options(RefitOptions, data, _with_model(model, flags)), console)).uri


def evaluate(
    data: Data = "sample", *, model: str | Study | None = None, console: Console = SILENT, **flags: Any
) -> Evaluation:
    """Test a registered model or a saved one. The opening of the test set is written down and counted in reports.

    model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, a saved model's folder, or a Study; left out, the data's
    champion. flags: as `unblur evaluate` has them, such as `history`.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> unblur.evaluate("sample", model=study).test["ndcg@10"].mean == study.test["ndcg@10"].mean
        True
    """
    options = _options(EvaluateOptions, data, _with_model(model, flags))
    return Evaluation.of(evaluation.evaluate(options, console))


def recommend(
    data: Data = "sample",
    *,
    model: str | Study | None = None,
    users: Sequence[str] | None = None,
    k: int = 10,
    exclude: Sequence[str] = (),
    console: Console = SILENT,
    **flags: Any,
) -> pd.DataFrame:
    """The k best unseen items of users: a table of user, item, title (where there are any), rank (from 1) and score.

    model: as in `evaluate`. users: raw ids; left out, everyone. exclude: items that nobody is to get. flags: as
    `unblur recommend` has them, such as `guidance_scale` and `output`. Nothing that a user has in train or valid is
    recommended; `history` says which of the two the model sees.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> table = unblur.recommend("sample", model=study, users=["0", "1"], k=3)
        >>> table[["user", "rank"]].values.tolist()
        [['0', 1], ['0', 2], ['0', 3], ['1', 1], ['1', 2], ['1', 3]]
    """
    options = _options(RecommendOptions, data, {**_with_model(model, flags), "k": k})
    return recommending.recommend(options, console, users, exclude)


def ablate(study: str | Path, *, console: Console = SILENT, **flags: Any) -> AblationStudy:
    """Train a study's grid over seeds and sweep what needs no training; as `unblur ablate`.

    study: a YAML file, or the name of one in search_spaces/ablations. flags: `dataset`, `seeds`, `at_most`, ...

    Examples:
        >>> import unblur
        >>> from pathlib import Path
        >>> grid = "question: l2?\\ndataset: sample\\nmodel: ease\\ngrid: {l2: [1.0, 100.0]}\\nx: l2\\nseeds: 1\\n"
        >>> _ = Path("strength.yaml").write_text(grid)
        >>> unblur.ablate("strength.yaml").frame()["l2"].tolist()
        [1.0, 100.0]
    """
    return AblationStudy(ablation.ablate(_made(AblateOptions, {**flags, "study": str(study)}), console))


def reproduce(dataset: str, *, console: Console = SILENT, **flags: Any) -> ReproductionStudy:
    """Train rows of the papers' tables over several seeds; as `unblur reproduce`, in a table beside the papers'.

    dataset: of the rows; several separated by commas. flags: `model`, `seeds`, ...

    Examples:
        >>> import unblur
        >>> rows = unblur.reproduce("amazon_toys", model="cfg_diffrec", dry_run=True).frame()
        >>> bool(rows["paper_value"].max() < 0.1)
        True
    """
    return ReproductionStudy(reproduction.reproduce(_made(ReproduceOptions, {**flags, "dataset": dataset}), console))


@overload
def report(data: Data = ..., **flags: Any) -> ReportResult: ...
@overload
def report(data: list[str], **flags: Any) -> SeveralResult: ...
def report(data: Data | list[str] = "sample", **flags: Any) -> ReportResult | SeveralResult:
    """Compare the finished studies of a dataset: verdict, tables and figures, from MLflow alone.

    data: a list of two or more names or paths gets what holds over all of them: average ranks with Nemenyi's critical
    difference, the best diffusion model against the best baseline, validation against test. flags: `protocol`,
    `tracking_uri`, `price_per_core_hour`, `price_per_gpu_hour` and `country` for what studies cost, and `output`,
    `markdown`, `tables` and `figures` for files to write.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> "ease" in set(unblur.report("sample").frame()["model"])
        True
    """
    if isinstance(data, PreparedData):
        flags = {"protocol": data.request.protocol, "storage": str(data.local)} | flags
    if isinstance(data, list):
        name = ",".join(data)
    else:
        name = data.request.dataset if isinstance(data, PreparedData) else _source(data, "./unblur-runs")
    return compare_studies(_made(ReportOptions, {"output": None, **flags, "dataset": name}))


def load_model(model: str, *, tracking_uri: str | None = None) -> ServedModel:
    """A registered model that answers histories of raw item ids.

    model: a dataset's name (its champion), `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> [len(best) for best in unblur.load_model(study.model_uri).recommend([["3"], []], k=4)]
        [4, 4]
    """
    return served(connect(tracking_uri), model)


def load_study(
    data: str | PreparedData, model: str, *, protocol: str = "clean", tracking_uri: str | None = None
) -> Study:
    """The newest finished study of a recommender on a dataset, from MLflow.

    Examples:
        >>> import unblur
        >>> study = unblur.train("sample", model="ease", seeds=1)
        >>> unblur.load_study("sample", "ease").run_id == study.run_id
        True
    """
    experiment = data.experiment if isinstance(data, PreparedData) else f"{name_of(data)}/{protocol}"
    return Study.load(experiment, model, tracking_uri)


def _options(kind: type[Asked], data: Data, flags: Mapping[str, Any]) -> Asked:
    """Options from what is asked: those of the data apart, and a frame as the file that it is written to."""
    asked = {name: value for name, value in flags.items() if name in DataRequest.model_fields}
    others = {name: value for name, value in flags.items() if name not in asked}
    if isinstance(data, PreparedData):
        if asked:
            raise UserError(f"{', '.join(asked)}: the data are prepared already; give this to load_data")
        places = {"storage": str(data.local), "data_dir": data.data_dir}
        return _made(kind, {**places, **others, "data": data.request})
    request = DataRequest(dataset=_source(data, others.get("storage", "./unblur-runs")), **asked)
    return _made(kind, {**others, "data": request})


def _made(kind: type[Asked], flags: Mapping[str, Any]) -> Asked:
    return kind(**flags)


def _source(data: str | Path | pd.DataFrame, storage: str) -> str:
    return str(written(data, storage) if isinstance(data, pd.DataFrame) else data)


def _with_model(model: str | Study | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags with the model; that of a study is looked for where the study is."""
    if not isinstance(model, Study):
        return {**flags, "model": model}
    if model.model_uri is None:
        raise UserError(f"{model.name} is not registered: it can only score users that it was trained on. Name another")
    return {"tracking_uri": model.tracking_uri, **flags, "model": model.model_uri}


def _begun(result: T | None) -> T:
    if result is None:
        raise UserError("dry_run has no result: leave it out here, it is for the command line")
    return result
