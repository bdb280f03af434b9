"""Letters for a table: models that share a letter cannot be told apart (Piepho 2004, insert and absorb)."""

from collections.abc import Collection, Sequence
from string import ascii_lowercase

Pair = tuple[str, str]


def letters(models: Sequence[str], different: Collection[Pair]) -> dict[str, str]:
    """Each model's letters, given the pairs that differ significantly (in either order); the first model has an "a"."""
    columns = [set(models)]
    for one, other in different:
        split = [column for column in columns if {one, other} <= column]
        columns = [column for column in columns if column not in split]
        for column in split:
            columns += [column - {one}, column - {other}]
        columns = _absorb(columns)
    columns.sort(key=lambda column: [models.index(model) for model in sorted(column, key=models.index)])
    return {model: "".join(_letter(i) for i, column in enumerate(columns) if model in column) for model in models}


def _absorb(columns: Sequence[set[str]]) -> list[set[str]]:
    """Without the columns that lie in others, and each once."""
    distinct = [column for i, column in enumerate(columns) if column not in columns[:i]]
    return [column for column in distinct if not any(column < other for other in distinct)]


def _letter(index: int) -> str:
    return ascii_lowercase[index] if index < 26 else f"({index + 1})"
