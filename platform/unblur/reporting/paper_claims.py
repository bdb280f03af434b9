"""What a paper claims of one of its rows against another, checked on ours: on which metrics it is ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from unblur.evaluation.significance import CONFIDENCE, holm, welch
from unblur.experiments.paper_rows import Reproduction
from unblur.formatting import percent, probability
from unblur.reporting.tables import Table


@dataclass(frozen=True)
class Claim:
    """A row and the one that it is held against, both done; gains by metric are shares of the other's figure."""

    row: Reproduction
    other: Reproduction
    ours: Mapping[str, float]
    papers: Mapping[str, float]
    p: Mapping[str, float]
    """Welch's t-test between the seeds' values, with Holm's correction over the metrics; empty for a single seed."""


def claims(rows: Sequence[Reproduction]) -> list[Claim]:
    """Of every row that is done and whose `against` is."""
    done = {row.preset.name: row for row in rows if row.state == "done"}
    return [_claim(row, done[row.preset.against]) for row in done.values() if row.preset.against in done]


def _claim(row: Reproduction, other: Reproduction) -> Claim:
    metrics = [metric for metric in row.preset.expected if metric in other.preset.expected]
    pairs = {metric: (row.values(metric), other.values(metric)) for metric in metrics}
    ours = {metric: mean(a) / mean(b) - 1 for metric, (a, b) in pairs.items() if a and b and mean(b) > 0}
    papers = {metric: row.preset.expected[metric] / other.preset.expected[metric] - 1 for metric in metrics}
    found = {metric: p for metric in ours if (p := welch(*pairs[metric])) is not None}
    return Claim(row, other, ours, papers, dict(zip(found, map(float, holm(list(found.values()))), strict=True)))


def tables(rows: Sequence[Reproduction]) -> list[Table]:
    """On how many metrics each row is ahead, ours and the paper's; then metric by metric. None without such rows."""
    found = claims(rows)
    return [_counts(found), _gains(found)] if found else []


def _counts(found: Sequence[Claim]) -> Table:
    cells = []
    for claim in found:
        sides = [[metric for metric, gain in claim.ours.items() if gain * sign > 0] for sign in (1, -1)]
        ahead = str(sum(gain > 0 for gain in claim.papers.values()))
        names = [claim.row.preset.name, claim.other.preset.name, str(len(claim.ours))]
        cells.append([*names, *(_counted(claim, side) for side in sides), ahead])
    columns = ["row", "against", "metrics", "ours ahead", "ours behind", "the paper's ahead"]
    note = "Significant by Welch's t-test over seeds with Holm's correction over the row's metrics, 5%."
    return Table("Ahead of the row that the paper compares with", columns, cells, note)


def _counted(claim: Claim, metrics: Sequence[str]) -> str:
    significant = sum(claim.p[metric] < 1 - CONFIDENCE for metric in metrics if metric in claim.p)
    return f"{len(metrics)}, {significant} of them significant" if metrics and claim.p else str(len(metrics))


def _gains(found: Sequence[Claim]) -> Table:
    cells = [
        [claim.row.preset.name, metric, percent(gain), probability(claim.p.get(metric)), percent(claim.papers[metric])]
        for claim in found
        for metric, gain in claim.ours.items()
    ]
    return Table("Its gains", ["row", "metric", "ours", "p", "the paper's"], cells)
