"""Text of `user item item ...` lines with whole numbers as ids: LightGCN's files and the sequence form."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.data.reading import contents
from unblur.data.sequences import ranges
from unblur.errors import UserError

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class IdRows:
    """One entry per interaction: its user, item, 0-based position in the user's row, and 1-based line."""

    user: Ids
    item: Ids
    position: Ids
    line: Ids


def read(file: Path) -> IdRows:
    """All rows of `file`. Raises UserError at anything but digits, an empty row, or a user with two rows."""
    data = contents(file)
    letters = np.frombuffer(data, dtype=np.uint8)
    digit = (letters >= ord("0")) & (letters <= ord("9"))
    _check_letters(file, letters, digit)
    starts = np.flatnonzero(digit & ~np.concatenate([[False], digit[:-1]]))
    _check_lengths(file, letters, digit, starts)
    numbers = np.array(data.split(), dtype="S18").astype(np.int64)
    line = 1 + np.searchsorted(np.flatnonzero(letters == ord("\n")), starts)
    return _rows(file, numbers, line)


def _rows(file: Path, numbers: Ids, line: Ids) -> IdRows:
    first = np.concatenate([[True], line[1:] != line[:-1]])
    heads = np.flatnonzero(first)
    lengths = np.diff(np.append(heads, len(numbers))) - 1
    users = numbers[heads]
    if (lengths == 0).any():
        raise UserError(f"{file}:{line[heads][lengths == 0][0]}: found a user without items, expected `user item ...`")
    _, kept = np.unique(users, return_index=True)
    if len(kept) < len(users):
        again = int(np.setdiff1d(np.arange(len(users)), kept)[0])
        raise UserError(f"{file}:{line[heads[again]]}: user {users[again]} has a line already, expected one per user")
    position = ranges(np.zeros_like(lengths), lengths)
    return IdRows(np.repeat(users, lengths), numbers[~first], position, line[~first])


def _check_letters(file: Path, letters: NDArray[np.uint8], digit: NDArray[np.bool_]) -> None:
    good = digit | np.isin(letters, np.frombuffer(b" \t\r\n", dtype=np.uint8))
    if not good.all():
        at = int((~good).argmax())
        raise UserError(f"{_place(file, letters, at)}: found {bytes(letters[at : at + 1])!r}, expected whole numbers")


def _check_lengths(file: Path, letters: NDArray[np.uint8], digit: NDArray[np.bool_], starts: Ids) -> None:
    ends = np.flatnonzero(digit & ~np.concatenate([digit[1:], [False]]))
    long = ends - starts >= 18
    if long.any():
        at = int(starts[long.argmax()])
        raise UserError(f"{_place(file, letters, at)}: found a number of more than 18 digits, expected an id")


def _place(file: Path, letters: NDArray[np.uint8], at: int) -> str:
    return f"{file}:{1 + int((letters[:at] == ord(chr(10))).sum())}"
