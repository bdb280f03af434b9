"""Training and evaluation, every contestant in turn, so that whatever else the machine does falls on all alike."""

from collections.abc import Mapping
from statistics import median

from unblur.benchmarking.implementations import Contestant, Metrics, Ours, Products, Weights
from unblur.benchmarking.result import Evaluation, Timing, Training


def training(
    contestants: Mapping[str, Contestant], products: Products, ours: Ours, steps: int, rounds: int
) -> Training:
    """Seconds per epoch of each from the same weights, after an epoch to warm up; ratios to ours, round by round."""
    weights = ours.weights()
    for contestant in contestants.values():
        contestant.load(weights, steps)
    times = epochs({**contestants, "products": products}, rounds)
    return Training(times=times, share_of_products=times["products"].over_ours)


def epochs(runners: Mapping[str, Contestant | Products], rounds: int) -> dict[str, Timing]:
    """Times of an epoch of each in turn, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for i in range(rounds + 1):
        for name, runner in runners.items():
            took = runner.train_epoch()
            if i:
                seconds[name].append(took)
    return timings(seconds)


def evaluation(contestants: Mapping[str, Contestant], weights: Weights, steps: int, rounds: int) -> Evaluation:
    """Seconds of each with the same weights, and how far their metrics lie apart."""
    for contestant in contestants.values():
        contestant.load(weights, steps)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    metrics: dict[str, Metrics] = {}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            took, metrics[name] = contestant.evaluate()
            seconds[name].append(took)
    apart = {
        name: max(abs(value - metrics["ours"][metric]) for metric, value in theirs.items())
        for name, theirs in metrics.items()
        if name != "ours"
    }
    return Evaluation(steps=steps, times=timings(seconds), metrics=metrics, largest_difference=apart)


def timings(seconds: Mapping[str, list[float]]) -> dict[str, Timing]:
    """Medians, and the median over the rounds of each one's time over ours."""
    ours = seconds["ours"]
    return {
        name: Timing(
            seconds=times,
            median=median(times),
            over_ours=median(theirs / own for theirs, own in zip(times, ours, strict=True)),
        )
        for name, times in seconds.items()
    }
