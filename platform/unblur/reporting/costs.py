"""What studies cost: core hours, GPU hours, energy, CO2 and money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from unblur.energy import ASSUMED, LIMIT, RATED, WORLD_GRAMS, grams_per_kwh
from unblur.formatting import NONE, amount, counted
from unblur.reporting.options import ReportOptions
from unblur.reporting.runs import StudyRuns
from unblur.reporting.tables import Table
from unblur.tracking import names


@dataclass(frozen=True)
class Prices:
    """What a person pays, and where the electricity comes from."""

    core_hour: float | None = None
    """$."""
    gpu_hour: float | None = None
    """$."""
    grams: float = WORLD_GRAMS
    """CO2 equivalents of a kWh."""
    country: str | None = None
    """Whose electricity that is; None: the world's average."""

    @classmethod
    def of(cls, options: ReportOptions) -> Self:
        """As a person asks; UserError for a country that is not known."""
        grams = grams_per_kwh(options.country)
        return cls(options.price_per_core_hour, options.price_per_gpu_hour, grams, options.country)


@dataclass(frozen=True)
class Cost:
    """Of a study's trials and final runs; what is not known is None."""

    search: float | None
    """Core hours."""
    final: float | None
    """Core hours."""
    gpu_hours: float | None
    kwh: float | None

    @classmethod
    def of(cls, study: StudyRuns) -> Self:
        """As its trainings measured it."""
        search, final = study.spent("trial"), study.spent("final")
        both = {name: search[name] + final[name] for name in search.keys() & final.keys()}
        return cls(
            search.get(names.CORE_HOURS), final.get(names.CORE_HOURS), both.get(names.GPU_HOURS), both.get(names.KWH)
        )

    def dollars(self, prices: Prices) -> float | None:
        """None where hours or a price that they need are not known."""
        if self.search is None or self.final is None or self.gpu_hours is None or prices.core_hour is None:
            return None
        if self.gpu_hours and prices.gpu_hour is None:
            return None
        return (self.search + self.final) * prices.core_hour + self.gpu_hours * (prices.gpu_hour or 0.0)


def costs(studies: Mapping[str, StudyRuns], prices: Prices) -> Table:
    """A row for each study by its label; no column where nobody has anything to say in it."""
    found = {label: Cost.of(study) for label, study in studies.items()}
    on_gpus = any(cost.gpu_hours for cost in found.values())
    priced = prices.core_hour is not None
    columns = ["model", "core hours, search", "core hours, final runs", "kWh", "kg CO2e"]
    rows = [
        [
            label,
            *map(_shown, (cost.search, cost.final, cost.kwh)),
            _shown(None if cost.kwh is None else cost.kwh * prices.grams / 1000),
            *([_shown(cost.gpu_hours)] if on_gpus else []),
            *([_shown(cost.dollars(prices))] if priced else []),
        ]
        for label, cost in found.items()
    ]
    columns += ["GPU hours"] * on_gpus + ["$"] * priced
    return Table("Core hours, energy and money", columns, rows, _note(list(studies.values()), prices, on_gpus))


def _shown(value: float | None) -> str:
    return NONE if value is None else amount(value)


def _note(studies: Sequence[StudyRuns], prices: Prices, on_gpus: bool) -> str:
    where = f"electricity of {prices.country}" if prices.country else "the world's average"
    told = [
        "Hours are those that the trainings measured, times the CPUs and GPUs that each had; preparation, tests and "
        "idle nodes are not in them.",
        f"Energy is an estimate and no measurement: {_watts(studies)}, as if at work throughout; memory and cooling "
        f"are not in it. CO2 equivalents: {prices.grams:g} g for a kWh, {where}.",
    ]
    if prices.core_hour is not None:
        gpus = f" and ${prices.gpu_hour:g} for a GPU hour" if prices.gpu_hour is not None else ""
        told.append(f"Money: ${prices.core_hour:g} for a core hour{gpus}.")
        if on_gpus and prices.gpu_hour is None:
            told.append("What ran on GPUs has no price without --price-per-gpu-hour.")
    if untold := sum(study.untold for study in studies):
        told.append(f"Not measured, and in no figure: {counted(untold, 'training')} that ended before a first report.")
    return " ".join(told)


def _watts(studies: Sequence[StudyRuns]) -> str:
    """How the power was found."""
    told: dict[str, float] = {}
    for study in studies:
        for name, value in study.watts().items():
            told[name] = max(value, told.get(name, 0.0))
    how = {
        RATED: "{:.3g} W for a CPU, the processor's rated power (TDP, CodeCarbon's table) over its CPUs",
        ASSUMED: "{:.3g} W for a CPU, CodeCarbon's constant for one that is virtual or in no table",
        LIMIT: "{:.3g} W for a GPU, its power limit",
    }
    return (
        "; ".join(text.format(told[name]) for name, text in how.items() if name in told)
        or "what was drawn is not known"
    )
