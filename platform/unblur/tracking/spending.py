"""What trainings cost, out of what they measured: one way of reckoning for MLflow, Prometheus and reports."""

import math
from collections.abc import Iterable, Mapping

from unblur.energy import ASSUMED, LIMIT, RATED
from unblur.tracking import names


def spent(facts: Mapping[str, float], cpus: float, gpus: float) -> dict[str, float]:
    """What a training has cost so far, by the names of SPENT that are known.

    facts: of its report. cpus, gpus: all that it had, whether it used them or not. As if what it has now had been its
    from the start on, also where it went on elsewhere.
    """
    if "seconds" not in facts:
        return {}
    hours = facts["seconds"] / 3600
    known = {names.FACTS["seconds"]: facts["seconds"], names.CORE_HOURS: hours * cpus, names.GPU_HOURS: hours * gpus}
    watts = _watts(facts, cpus, gpus)
    return known if watts is None else {**known, names.KWH: hours * watts / 1000}


def _watts(facts: Mapping[str, float], cpus: float, gpus: float) -> float | None:
    """Of all that a training had, at work; None where that is not known."""
    each = facts.get(RATED, facts.get(ASSUMED))
    if each is None or (gpus and LIMIT not in facts):
        return None
    return cpus * each + gpus * facts.get(LIMIT, 0.0)


def total(costs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sums, by the names of SPENT that all have: a part of the energy is none.

    In whatever order they come (MLflow's is no fixed one), to the last bit: a record that is written again is the same.
    """
    each = list(costs)
    return {name: math.fsum(cost[name] for cost in each) for name in names.SPENT if all(name in cost for cost in each)}
