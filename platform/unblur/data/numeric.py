"""Columns as numbers and times: float64 that keeps apart what the source keeps apart."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unblur.data.reading import Where
from unblur.errors import UserError

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EXACT = 2**53
"""Whole numbers from here on may share a float64."""

Values = NDArray[np.float64]


def numbers(
    column: "pd.Series[str] | pd.Series[float]",
    where: Where,
    name: str,
    low: float,
    high: float,
    optional: bool = False,
) -> Values:
    """A column as float64; missing is NaN if `optional`. Raises UserError at the first that is not in [low, high]."""
    values = _parsed(column)
    bad = ~((values >= low) & (values <= high) & np.isfinite(values))
    if optional:
        bad &= column.notna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        found = _shown(column.iloc[row])
        bounds = "a number" if np.isinf(low) else f"a number from {low:g} to {high:g}"
        raise UserError(f"{where(row)}: {name} is {found}, expected {bounds}")
    return values


def _shown(value: object) -> str:
    """A cell as a message shows it."""
    return "nothing" if value is None or value != value else repr(value)


def _parsed(column: "pd.Series[str] | pd.Series[float]") -> Values:
    try:  # several times faster, and only wrong where something is wrong
        return np.asarray(pc.cast(pa.array(column), pa.float64()), dtype=np.float64)
    except pa.ArrowException:
        return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


def times(column: "pd.Series[str] | pd.Series[float]", where: Where, name: str) -> Values:
    """Numbers if the first is one, else ISO dates, in seconds since 1970. Raises UserError, naming the line."""
    numeric = column.dtype.kind in "iuf"
    if numeric or pd.to_numeric(column.iloc[:1], errors="coerce").notna().all():
        return number_times(column, where, name)
    return seconds(column, where, name)


def number_times(column: "pd.Series[str] | pd.Series[float]", where: Where, name: str) -> Values:
    """Numbers in their own unit. Raises UserError at the first that is none."""
    values = numbers(column, where, name, -np.inf, np.inf)
    if np.abs(values).max(initial=0) < EXACT:
        return values
    try:
        whole = np.asarray(pc.cast(pa.array(column), pa.int64()), dtype=np.int64)
    except pa.ArrowException:  # no whole numbers: floats from the start
        return values
    return _apart(whole, values)


def seconds(column: "pd.Series[str] | pd.Series[float]", where: Where, name: str) -> Values:
    """ISO dates, with or without time, as seconds since 1970. Raises UserError at the first that is none."""
    found = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
    if found.isna().any():
        row = int(found.isna().to_numpy().argmax())
        raise UserError(f"{where(row)}: {name} is {_shown(column.iloc[row])}, expected a date like 2018-07-07 22:09:11")
    ticks = found.dt.tz_localize(None).to_numpy()
    whole = ticks.astype(np.int64)
    return _apart(whole, whole / PER_SECOND[np.datetime_data(ticks.dtype)[0]])


def _apart(whole: NDArray[np.int64], values: Values) -> Values:
    """`values`, or where float64 lets different ones of `whole` coincide (nanoseconds), their ranks."""
    different, rank = np.unique(whole, return_inverse=True)
    return values if len(np.unique(values)) == len(different) else rank.astype(np.float64)
