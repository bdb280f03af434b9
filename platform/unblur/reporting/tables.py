"""The report's tables as plain text cells, which HTML and Markdown show alike."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from unblur.evaluation.significance import Comparison
from unblur.formatting import NONE, duration, probability, setting, shown, with_spread
from unblur.reporting.leaderboard import Leaderboard
from unblur.reporting.papers import Beside
from unblur.reporting.runs import StudyRuns, Trial, varied
from unblur.reporting.verdict import guided_pairs
from unblur.tracking.runs import text
from unblur.training.record import ENDED, State

TRIALS = 300  # that a page has room for
ITEM_GROUPS = tuple(f"recall_at_10_{group}" for group in ("head", "middle", "tail"))


@dataclass(frozen=True)
class Table:
    """A table: what each row is comes first in it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    code: Collection[int] = ()  # columns that people copy
    folded: bool = False  # opens on a click: the numbers behind figures


def leaders(board: Leaderboard) -> Table:
    """The leaderboard."""
    rows = []
    for place, row in enumerate(board.rows, 1):
        low, high = row.interval or (None, None)
        interval = f"{low:.4f} to {high:.4f}" if row.interval else NONE
        seeds = ", ".join(f"{value:.4f}" for value in row.values)
        study = row.study
        spent = [str(len(study.trials)), duration(study.search_seconds())] if study.trials else [NONE, NONE]
        rows.append([str(place), row.model, with_spread(row.mean, row.std), interval, row.group or NONE, seeds, *spent])
    least = next((p for row in board.rows if (p := row.study.popularity(board.metric)) is not None), None)
    note = (
        "Mean ± standard deviation over seeds; 95% interval by bootstrap over users. Models that share a letter are "
        "not significantly different (paired t-tests of all pairs over users, Holm's correction, 5%)."
    )
    if least is not None:
        note += f" Recommending the most popular items scores {least:.4f}."
    columns = [
        "place",
        "model",
        f"test {shown(board.metric)}",
        "95% interval",
        "group",
        "by seed",
        "trials",
        "search time",
    ]
    return Table("Leaderboard", columns, rows, note)


def comparisons(board: Leaderboard) -> Table:
    """The best model against each other one, and guidance against none."""
    best = board.rows[0].model
    pairs = [(best, row.model) for row in board.rows[1:]]
    guided = [(row.model, plain.model) for row, plain in guided_pairs(board)]
    pairs += [pair for pair in guided if best not in pair]
    rows = []
    for one, other in pairs:
        found = board.compare(one, other)
        if found is not None:
            rows.append([f"{one} − {other}", *_compared(found), probability(board.p_seeds(one, other))])
    columns = ["models", "difference", "95% interval", "p (Holm)", "p (Wilcoxon)", "effect", "detectable", "p (seeds)"]
    note = (
        "Per-user means over seeds. p (Holm): paired t-test corrected for all pairs of models; p (Wilcoxon): signed "
        "ranks, uncorrected; effect: Cohen's d_z; detectable: the smallest true difference that these users would "
        "show with a probability of 80%; p (seeds): Welch's test over seeds, whether other seeds might turn the order."
    )
    return Table("Differences", columns, rows, note)


def _compared(found: Comparison) -> list[str]:
    interval = f"{found.low:+.4f} to {found.high:+.4f}"
    tests = [probability(found.p_holm), probability(found.p_wilcoxon)]
    return [f"{found.difference:+.4f}", interval, *tests, f"{found.effect:+.3f}", f"{found.detectable:.4f}"]


def metrics(board: Leaderboard, names: Sequence[str], title: str, note: str = "") -> Table:
    """Several metrics of every model; those that nobody has are left out."""
    there = [name for name in names if any(name in row.study.tests for row in board.rows)]
    rows = [
        [
            row.model,
            *(with_spread(row.study.test(n), row.study.spread(n)) if n in row.study.tests else NONE for n in there),
        ]
        for row in board.rows
    ]
    return Table(title, ["model", *map(shown, there)], rows if there else [], note)


def budgets(studies: Sequence[StudyRuns]) -> Table:
    """What each model's search and final runs took."""
    rows = []
    for study in studies:
        states = [trial.state for trial in study.trials]
        ended = [states.count(state) for state in ENDED]
        counts = [str(count) for count in (*ended, len(states) - sum(ended))]
        best = study.best()
        valid = f"{best.value:.4f}" if best and best.value is not None else NONE
        rows.append([study.model, *counts, duration(study.search_seconds()), duration(study.final_seconds()), valid])
    note = (
        "Times are those of all trials together, however many ran side by side, and of what they share (item "
        "embeddings, experts, trained parts of blends), whichever study made it."
    )
    columns = [
        "model",
        *ENDED,
        State.INTERRUPTED,
        "search time",
        "final runs' time",
        "best on validation",
    ]
    return Table("Budget", columns, rows, note)


def best_params(study: StudyRuns) -> Table:
    """The configuration of the final runs, and what each chose for inference on validation."""
    best = study.best()
    chosen = study.finals[0].params if study.finals else (best.settings if best else {})
    rows = [[name, text(value)] for name, value in sorted(chosen.items())]
    for name in sorted({name for each in study.finals for name in each.inference}):
        by_seed = [text(each.inference.get(name)) for each in study.finals]
        rows.append([f"{name} (of inference, by seed)", ", ".join(by_seed if len(set(by_seed)) > 1 else by_seed[:1])])
    return Table("Chosen parameters", ["parameter", "value"], rows, code={1})


def trials(study: StudyRuns) -> Table:
    """Every trial of a search, the best first: what the figures of it draw."""
    done = sorted(study.trials, key=lambda trial: -np.inf if trial.value is None else trial.value, reverse=True)
    told = done[:TRIALS]
    names = varied(told)
    rows = [
        [
            str(trial.number),
            trial.state,
            NONE if trial.value is None else f"{trial.value:.4f}",
            *_curve(trial),
            NONE if trial.seconds is None else duration(trial.seconds),
            *(setting(trial.settings.get(name, NONE)) for name in names),
        ]
        for trial in told
    ]
    note = "The parameters in which trials differ; the time is that trained."
    if len(done) > TRIALS:
        note += f" The best {TRIALS} of {len(done)}: `unblur.load_study(...).trials()` has all."
    columns = ["trial", "state", f"best validation {shown(study.metric)}", "at epoch", "epochs", "time", *names]
    return Table(f"Trials of {study.model}", columns, rows, note, folded=True)


def _curve(trial: Trial) -> list[str]:
    """The epoch of the best value, and how many there were."""
    if not trial.curve:
        return [NONE, NONE]
    return [str(max(trial.curve, key=lambda epoch: trial.curve[epoch])), str(max(trial.curve))]


def papers(figures: Sequence[Beside]) -> Table:
    """Ours beside the papers'."""
    rows = [
        [
            each.model,
            shown(each.metric),
            f"{b.ours:.4f}",
            f"{each.value:.4f}",
            f"{b.ratio:+.1%}",
            each.source,
            each.note,
        ]
        for b in figures
        for each in [b.published]
    ]
    columns = ["model", "metric", "ours", "paper's", "ours against it", "source", "what to keep in mind"]
    return Table("Beside the papers", columns, rows)
