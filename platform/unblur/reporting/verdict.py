"""The leaderboard in sentences that a manager can read, and what stands in the way of believing it."""

from collections.abc import Callable, Sequence

from unblur import models
from unblur.data.openings import sentence
from unblur.evaluation.significance import CONFIDENCE, welch
from unblur.formatting import duration, p_value, shown
from unblur.reporting.leaderboard import Leaderboard, Row
from unblur.reporting.runs import Evidence, StudyRuns
from unblur.tracking import names

COVERAGE = "coverage_at_10"
LEVEL = 1 - CONFIDENCE
LISTED = 4  # models that a sentence names
SIMILAR = 1.1  # budgets within 10% count as equal


def is_diffusion(model: str) -> bool:
    """Whether a model of this version is one; MLflow may hold others."""
    return model in models.RECOMMENDERS and models.model_class(model).DIFFUSION


def _random(model: str) -> bool:
    """Whether seeds can make a difference; of a model that this version does not have they may."""
    return model not in models.RECOMMENDERS or models.model_class(model).RANDOM


def guided_pairs(board: Leaderboard) -> list[tuple[Row, Row]]:
    """Each guided model with the unguided one that it is held against, where both are on the board; by name."""
    found = [(row, _unguided(row.model)) for row in sorted(board.rows, key=lambda row: row.model)]
    return [(row, plain) for row, name in found if name and (plain := board.row(name))]


def _unguided(model: str) -> str | None:
    return models.model_class(model).UNGUIDED if model in models.RECOMMENDERS else None


def verdict(evidence: Evidence, board: Leaderboard) -> list[str]:
    """One sentence after the other, the most important first."""
    return [_winner(evidence, board), *_guidance(board), *_families(board), *_popularity(board)]


def reservations(evidence: Evidence, board: Leaderboard) -> list[str]:
    """What a reader must know before quoting the verdict."""
    studies = [row.study for row in board.rows]
    found = [_history(studies), *_budgets(studies), *_starts(studies), *_settings(studies), *_sizes(board)]
    return [*found, sentence(evidence.openings), *_champion(studies), *evidence.notes]


def _winner(evidence: Evidence, board: Leaderboard) -> str:
    best, name = board.rows[0], f"On {evidence.dataset} ({evidence.protocol})"
    spread = f" ± {best.std:.4f}" if best.std is not None else ""
    score = f"{shown(board.metric)} {best.mean:.4f}{spread}"
    if len(board.rows) == 1:
        return f"{name} only {best.model} has been tested, with {score}; there is nothing to compare it with."
    if not board.n_pairs:
        return f"{name} {best.model} is ahead, untested, with {score}."
    doubts = _doubts(board, best.model, [row.model for row in board.rows[1:]])
    if not doubts:
        return f"{name} {best.model} is significantly ahead of all others, with {score}."
    return f"{name} {best.model} comes first with {score}, {' and '.join(doubts)}."


def _doubts(board: Leaderboard, best: str, others: Sequence[str]) -> list[str]:
    """Whom the best model may not be ahead of, and why."""
    found = {model: board.compare(best, model) for model in others}
    unknown = [model for model, comparison in found.items() if comparison is None]
    tied = [model for model, comparison in found.items() if comparison and not comparison.significant]
    shaky = [model for model in others if model not in {*tied, *unknown} and _within_seeds(board, best, model)]
    said = [f"not significantly ahead of {_and(tied)}"] if tied else []
    said += [f"ahead of {_and(shaky)} only within the spread of seeds"] if shaky else []
    return said + ([f"untested against {_and(unknown)}"] if unknown else [])


def _within_seeds(board: Leaderboard, one: str, other: str) -> bool:
    p = board.p_seeds(one, other)
    return p is not None and p >= LEVEL


def _guidance(board: Leaderboard) -> list[str]:
    """What each guided model gains over the unguided one."""
    return [_gain(board, guided, plain) for guided, plain in guided_pairs(board)]


def _gain(board: Leaderboard, guided: Row, plain: Row) -> str:
    verb = "gains" if guided.mean >= plain.mean else "loses"
    return (
        f"Guidance ({guided.model}) {verb} {_percent(guided, plain)} against {plain.model}, "
        f"{_evidence(board, guided, plain)}{_coverage(guided.study, plain.study)}."
    )


def _coverage(guided: StudyRuns, plain: StudyRuns) -> str:
    """What guidance does to the share of the catalogue that is recommended to anyone."""
    if not all(COVERAGE in study.tests for study in (guided, plain)):
        return ""
    p = welch(guided.tests[COVERAGE], plain.tests[COVERAGE])
    known = "" if p is None else f" (over seeds {p_value(p)})"
    return f"; {shown(COVERAGE)} goes from {plain.test(COVERAGE):.3f} to {guided.test(COVERAGE):.3f}{known}"


def _families(board: Leaderboard) -> list[str]:
    """The best diffusion model against the best of the others."""
    diffusion = next((row for row in board.rows if is_diffusion(row.model)), None)
    baseline = next((row for row in board.rows if not is_diffusion(row.model)), None)
    if diffusion is None or baseline is None:
        return []
    first, second = (baseline, diffusion) if baseline.mean > diffusion.mean else (diffusion, baseline)
    kinds = ("baseline", "diffusion model") if first is baseline else ("diffusion model", "baseline")
    return [
        f"The best {kinds[0]}, {first.model}, is {_percent(first, second)} better than the best {kinds[1]}, "
        f"{second.model}: {_evidence(board, first, second)}."
    ]


def _popularity(board: Leaderboard) -> list[str]:
    weak = [row.model for row in board.rows if row.mean <= (row.study.popularity(board.metric) or -1.0)]
    weak = [model for model in weak if model != "popularity"]
    return [f"No better than recommending the most popular items: {_and(weak)}."] if weak else []


def _evidence(board: Leaderboard, one: Row, other: Row) -> str:
    """Significant or not, and how that is known."""
    comparison = board.compare(one.model, other.model)
    if comparison is None:
        return "not tested, because per-user results are missing"
    if not comparison.significant:
        least = comparison.detectable / other.mean if other.mean else float("inf")
        return f"not significant ({p_value(comparison.p_holm)}; these users would show {least:.1%} or more)"
    if _within_seeds(board, one.model, other.model):
        return f"significant over users ({p_value(comparison.p_holm)}) but within the spread of seeds"
    return f"significant ({p_value(comparison.p_holm)})"


def _history(studies: Sequence[StudyRuns]) -> str:
    saw = {"train": "the training part", "train+valid": "the training and validation parts"}[studies[0].history]
    return f"At the test the models saw {saw} of each user's history (history {studies[0].history})."


def _budgets(studies: Sequence[StudyRuns]) -> list[str]:
    """Unequal numbers of trials or seconds, told; a model of one trial without parameters needs no more."""
    searched = {study.model: study for study in studies if study.trials}
    found = _unequal("trials", {name: float(len(study.trials)) for name, study in searched.items()}, "{:.0f}".format)
    seconds = {name: study.search_seconds() for name, study in searched.items()}
    found += _unequal("search time", seconds, duration)
    if without := [study.model for study in studies if not study.trials]:
        found.append(f"Not tuned here, trained with given parameters: {_and(without)}.")
    return found


def _unequal(what: str, amounts: dict[str, float], write: Callable[[float], str]) -> list[str]:
    if len(amounts) < 2 or max(amounts.values()) <= SIMILAR * max(min(amounts.values()), 1.0):
        return []
    ordered = sorted(amounts.items(), key=lambda each: -each[1])
    if len(ordered) > LISTED:
        (most, much), (least, little) = ordered[0], ordered[-1]
        return [f"Budgets differ in {what}: from {write(little)} ({least}) to {write(much)} ({most})."]
    listed = ", ".join(f"{model} {write(amount)}" for model, amount in ordered)
    return [f"Budgets differ in {what}: {listed}."]


def _starts(studies: Sequence[StudyRuns]) -> list[str]:
    """Whose winner somebody had put at the beginning of the search, and whose the search has found."""
    searched = [study for study in studies if study.trials]
    known = {True: "a starting configuration of its space", False: "found by the search", None: "of unknown origin"}
    groups = {origin: [each.model for each in searched if each.from_start is origin] for origin in known}
    said = [f"{known[origin]}: {', '.join(models)}" for origin, models in groups.items() if models]
    return [f"The tested configuration was {'; '.join(said)}."] if said else []


def _settings(studies: Sequence[StudyRuns]) -> list[str]:
    """Other settings of the studies that are not the same for all."""
    names = {"metric": "deciding metric", "epochs": "epochs at most", "patience": "patience", "seed": "search seed"}
    found = []
    for name, words in names.items():
        values = {study.run.params.get(name, "unknown") for study in studies}
        if len(values) > 1:
            each = ", ".join(f"{study.model} {study.run.params.get(name, 'unknown')}" for study in studies)
            found.append(f"The {words} differs: {each}.")
    return found


def _sizes(board: Leaderboard) -> list[str]:
    found = _seeds({row.model: len(row.values) for row in board.rows if _random(row.model)})
    if fixed := [row.model for row in board.rows if not _random(row.model)]:
        found.append(f"Fitted once, since nothing in them is random: {_and(fixed)}.")
    if board.n_pairs:
        found.append(f"Tests are over {board.n_users:,} users whom all models have in common.")
    return found


def _seeds(seeds: dict[str, int]) -> list[str]:
    counts = sorted(set(seeds.values()))
    if len(counts) > 1:
        return [f"Seeds differ: {', '.join(f'{model} {count}' for model, count in seeds.items())}."]
    if counts == [1]:
        return ["1 seed per model. A single seed may be luck: whether another would turn the order is not known."]
    return [f"{counts[0]} seeds per model."] if counts else []


def _champion(studies: Sequence[StudyRuns]) -> list[str]:
    """What the search said when its model was held against the champion."""
    tags = [(study.model, study.run.tags[names.CHAMPION]) for study in studies if names.CHAMPION in study.run.tags]
    return [f"{model} in the registry: {said}." for model, said in tags]


def _percent(one: Row, other: Row) -> str:
    return f"{abs(one.mean - other.mean) / other.mean:.1%}" if other.mean else f"{abs(one.mean - other.mean):.4f}"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
