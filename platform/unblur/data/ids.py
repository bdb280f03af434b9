"""Raw ids: what counts as one, their order in a vocabulary, and a seeded order that means nothing."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unblur.data.reading import Where
from unblur.errors import UserError

Ints = NDArray[np.int64]
Names = NDArray[np.str_]
Hashes = NDArray[np.uint64]

LONGEST = 256
"""Characters of an id."""
SPREAD = 4
"""Times its characters that a vocabulary may take in the width of its longest id."""
NOTHING = ("nan", "NaN", "<NA>", "NaT", "None", "null", "NULL", "\\N", "#N/A")
"""How pandas, spreadsheets and databases write a missing value as text."""


def encode(ids: "pd.Series[str]", where: Where, kind: str) -> tuple[Ints, Names]:
    """0-based rows of a vocabulary sorted by id (numbers as numbers), and the ids by row.

    Raises UserError at the first that is no id: missing, a word for a missing value, too long, with a line break.
    """
    codes, found = pd.factorize(ids)
    known = pd.Series(found).astype(str)
    wrong = np.append(_no_ids(known), True)[codes]  # a missing id has code -1
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(f"{where(row)}: {kind} {_reason(known[codes[row]] if codes[row] >= 0 else '')}")
    names = vocabulary(known.tolist())
    order = by_id(names)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes], names[order]


def vocabulary(ids: Sequence[str]) -> Names:
    """Ids as an array. numpy keeps all in the width of the longest; one that is far longer than others makes it keep
    Python's own strings instead, so that the memory follows the text."""
    widths = list(map(len, ids))
    wide = max(widths, default=0) * len(ids) > SPREAD * sum(widths)
    names: Names = np.array(ids, dtype=object if wide else np.str_)
    return names


def _no_ids(known: "pd.Series[str]") -> NDArray[np.bool_]:
    # numpy cuts NULs off the end, so that two ids would become one; a line break is where a quote was not closed
    broken = known.str.contains("[\0\r\n]", regex=True)
    wrong = known.eq("") | known.isin(NOTHING) | broken | (known.str.len() > LONGEST)
    return wrong.to_numpy(dtype=bool)


def _reason(name: str) -> str:
    if name == "":
        return "is empty, expected an id"
    if name in NOTHING:
        return f"is {name!r}, which stands for a missing value, expected an id; remove such rows or rename the id"
    if len(name) > LONGEST:
        return f"is {name[:20]!r}... of {len(name):,} characters, expected an id of at most {LONGEST}"
    return f"is {name!r}, with a {'NUL' if chr(0) in name else 'line break'}, expected an id"


def dense(ids: "pd.Series[int]", where: Where, kind: str) -> tuple[Ints, Names]:
    """Ids that count from 0 and stay as they are; far larger ones than there are would only fill the memory."""
    values: Ints = np.asarray(ids, dtype=np.int64)
    limit = 10 * ids.nunique() + 1000
    bad = (values < 0) | (values >= limit)
    if bad.any():
        row = int(bad.argmax())
        raise UserError(f"{where(row)}: {kind} is {values[row]}, expected ids that count from 0 without large gaps")
    return values, np.arange(values.max() + 1).astype(np.str_)


def by_id(names: Names) -> Ints:
    """The order that sorts `names`: by value where all are whole numbers, else by characters."""
    if not pd.Series(names).str.fullmatch("[0-9]+").all():
        return np.argsort(names, kind="stable")
    digits = [name.lstrip("0") for name in names.tolist()]
    found = sorted(range(len(digits)), key=lambda place: (len(digits[place]), digits[place], names[place]))
    return np.array(found, dtype=np.int64)


def point_zero_twins(names: Names) -> int:
    """How many ids differ from another one by `.0` alone: numbers that were written in two ways."""
    known = set(names.tolist())
    return sum(name.removesuffix(".0") in known for name in known if name.endswith(".0"))


def mixed(one: Hashes, other: Hashes) -> Ints:
    """A hash of each pair, by SplitMix64 (Steele et al. 2014): a mere sum or xor would favour some of `other`."""
    z = one * np.uint64(0x9E3779B97F4A7C15) + other
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).view(np.int64)


def hashed(names: Names, seed: int) -> Hashes:
    """A 64-bit hash of each id, another one for every seed: the same in any vocabulary."""
    key = f"ties {seed}".encode()
    hashes = [hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in names.tolist()]
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)
