"""`jobs/reproduce.py`: rows of the papers' tables, each trained and tested as final runs of a configuration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from unblur.data import download
from unblur.data.presets import resolve
from unblur.data.request import DataRequest
from unblur.errors import RunFailed, UserError
from unblur.experiments.context import SILENT, absolute, check_writable
from unblur.experiments.options import ClusterFlags, ReproduceOptions, RunOptions, StorageFlags
from unblur.experiments.paper_rows import Preset, Reproduction, load_presets
from unblur.experiments.train import train_configuration
from unblur.resources import named
from unblur.running.cluster import ray_cluster
from unblur.tracking.client import connect


@dataclass(frozen=True)
class ReproductionResult:
    """Rows of papers' tables, and what has become of each."""

    rows: tuple[Reproduction, ...]

    def check(self) -> None:
        """RunFailed when a row failed."""
        if failed := [row.preset.name for row in self.rows if row.state == "failed"]:
            raise RunFailed(
                f"{len(failed)} of {len(self.rows)} rows failed: {', '.join(failed)}; the same command tries again"
            )


Listener = Callable[[ReproductionResult], None]
"""Called with all rows at the start and after each that was run."""


def reproduce(
    options: ReproduceOptions, console: Console = SILENT, changed: Listener = lambda _: None
) -> ReproductionResult:
    """Run the chosen rows; UserError before any of them is begun. A row that fails does not keep others from it."""
    rows = [_look(preset, options.data_dir) for preset in chosen(options.dataset, options.model)]
    _announce(rows, options.seeds, console)
    if options.dry_run:
        console.print("dry run: nothing was started")
        return ReproductionResult(tuple(rows))
    check_writable(absolute(options.storage))
    connect(options.tracking_uri)
    changed(ReproductionResult(tuple(rows)))
    with ray_cluster():
        for i, row in enumerate(rows):
            if row.state == "waiting":
                console.rule(f"{row.preset.name} ({i + 1} of {len(rows)})")
                rows[i] = _run(row, options, console)
                changed(ReproductionResult(tuple(rows)))
    return ReproductionResult(tuple(rows))


def chosen(datasets: str, models: str | None) -> list[Preset]:
    """The rows of `datasets`, of them those of `models` (models or names of rows); UserError when a word fits none."""
    presets = load_presets(preset_files())
    wanted = _words(datasets)
    _known(wanted, {preset.dataset for preset in presets}, "--dataset", "no row of a paper is on")
    rows = [preset for preset in presets if preset.dataset in wanted]
    if models is None:
        return rows
    names = _words(models)
    _known(names, {name for row in rows for name in (row.model, row.name)}, "--model", f"no row on {datasets} is")
    return [row for row in rows if {row.model, row.name} & set(names)]


def preset_files() -> list[Path]:
    """The rows that come with the package, and those of search_spaces/papers in the working directory."""
    return list(named("search_spaces/papers").values())


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]


def _known(words: Sequence[str], known: set[str], flag: str, wrong: str) -> None:
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        raise UserError(f"{flag}: {wrong} {', '.join(unknown) or 'nothing'}; there are: {', '.join(sorted(known))}")


def _look(preset: Preset, data_dir: Path | None) -> Reproduction:
    """The row, and whether its data are at hand (or can be fetched)."""
    try:
        download.find(resolve(DataRequest(dataset=preset.dataset)), data_dir)
    except UserError as error:
        return Reproduction(preset, "not at hand", str(error))
    return Reproduction(preset)


def _announce(rows: Sequence[Reproduction], seeds: int, console: Console) -> None:
    for row in rows:
        preset = row.preset
        what = f"{seeds} seed(s) of at most {preset.epochs} epochs" if row.state == "waiting" else "data not at hand"
        console.print(f"{preset.name}: {preset.row}, {preset.table} on {preset.dataset}: {what}", markup=False)
    for reason in dict.fromkeys(row.reason for row in rows if row.reason):
        console.print(reason, markup=False)


def _run(row: Reproduction, options: ReproduceOptions, console: Console) -> Reproduction:
    preset = row.preset
    try:
        result = train_configuration(training(preset, options), preset.config, console)
    except (RunFailed, UserError) as error:
        console.print(f"{preset.name} failed: {error}", markup=False)
        return replace(row, state="failed", reason=str(error))
    assert result is not None  # that is for dry runs
    final = result.final
    return replace(row, state="done", test=final.test, parameters=final.parameters, memory_mib=final.memory_mib)


def training(preset: Preset, options: ReproduceOptions) -> RunOptions:
    """The options of the row's final runs, those of `jobs/train.py` apart from the configuration."""
    shared = {*StorageFlags.model_fields, *ClusterFlags.model_fields, "seeds"}
    return RunOptions(
        data=DataRequest(dataset=preset.dataset),
        model=preset.model,
        epochs=preset.epochs,
        eval_every=preset.eval_every,
        patience=preset.patience,
        metric=preset.metric,
        **options.model_dump(include=shared),
    )
