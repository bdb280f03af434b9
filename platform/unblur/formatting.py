"""How numbers and names are written, in tables and sentences alike."""

from typing import Any

NONE = "–"
METRICS = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "hit_rate": "hit rate"}
"""Those that people write in other letters than a command line."""


def shown(metric: str) -> str:
    """`ndcg_at_10` as people write it: nDCG@10."""
    name, _, k = metric.partition("_at_")
    return METRICS.get(name, name) + (f"@{k.replace('_', ' ')}" if k else "")


def setting(value: Any) -> str:
    """A parameter's value: 0.3, 1e-05, [200, 600], mlp."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(number: int, noun: str) -> str:
    """1 model, 2 models."""
    return f"{number} {noun}{'s' * (number != 1)}"


def with_spread(mean: float, std: float | None) -> str:
    """0.0187 ± 0.0003; fewer decimals for what is not a share, such as bits or users."""
    digits = 4 if abs(mean) < 2 else 2
    return f"{mean:.{digits}f}" + (f" ± {std:.{digits}f}" if std is not None else "")


def probability(p: float | None) -> str:
    """A p-value: 0.013, < 0.001."""
    return NONE if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def p_value(p: float) -> str:
    """A p-value in a sentence: p = 0.013, p < 0.001."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def percent(share: float | None) -> str:
    """A difference: +3.6%."""
    return NONE if share is None else f"{share:+.1%}"


def duration(seconds: float) -> str:
    """A time that was measured: 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def gigabytes(count: float) -> str:
    """Bytes: 120 MiB, 1.5 GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


def amount(value: float) -> str:
    """A quantity to three digits: 0, < 0.001, 0.00123, 12.3, 1,230."""
    return "< 0.001" if 0 < value < 0.001 else f"{float(f'{value:.3g}'):,.10g}"


def about(seconds: float) -> str:
    """A time that is estimated or still running, rounded: 0.12 s, 12 s, 8 min, 1.6 h."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
