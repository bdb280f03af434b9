"""Times as float64 that keep apart what the source keeps apart."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unblur.data.reading import Where, numbers
from unblur.errors import UserError

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EXACT = 2**53
"""Whole numbers from here on may share a float64."""

Values = NDArray[np.float64]


def times(column: "pd.Series[str] | pd.Series[float]", where: Where, name: str) -> Values:
    """Numbers if the first is one, else ISO dates, in seconds since 1970. Raises UserError, naming the line."""
    if pd.to_numeric(column.iloc[:1], errors="coerce").notna().all():
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
        raise UserError(f"{where(row)}: {name} is {column.iloc[row]!r}, expected a date like 2018-07-07 22:09:11")
    ticks = found.dt.tz_localize(None).to_numpy()
    whole = ticks.astype(np.int64)
    return _apart(whole, whole / PER_SECOND[np.datetime_data(ticks.dtype)[0]])


def _apart(whole: NDArray[np.int64], values: Values) -> Values:
    """`values`, or where float64 lets different ones of `whole` coincide (nanoseconds), their ranks."""
    different, rank = np.unique(whole, return_inverse=True)
    return values if len(np.unique(values)) == len(different) else rank.astype(np.float64)
