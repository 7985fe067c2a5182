"""Times of unknown form → seconds since 1970, with the evidence; what could be two things is asked, not guessed."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from llmrec_core.data.tables import TIME_FORMATS
from llmrec_core.errors import DataError, UsageError

_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
EARLIEST, LATEST = 3e8, 4.1e9  # 1979 to 2099, seconds


def find_time_unit(values: pd.Series, column: str, label: str) -> tuple[str, str, str]:
    """(unit, format, evidence) of a sample of times; unit is a key of `_UNITS`, `order` or `text`.

    Raises:
        UsageError: when day and month cannot be told apart, naming --time-format.
        DataError: when no known form fits.
    """
    values = values[values != ""]
    if not len(values):
        raise DataError(
            f"{label}: the time column {column!r} is empty in the sample; leave it out or name another with --time"
        )
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().mean() > 0.99:
        middle = float(numbers.median())
        for unit, per_second in _UNITS.items():
            if EARLIEST <= middle / per_second < LATEST:
                day = datetime.datetime.fromtimestamp(middle / per_second, datetime.UTC).date()
                return unit, "", f"{column}: numbers around {middle:.0f}, as {unit} since 1970 that is {day}"
        return "order", "", f"{column}: numbers around {middle:g} are no date; used as an order only"
    fits = [form for form in TIME_FORMATS if pd.to_datetime(values, format=form, errors="coerce").notna().mean() > 0.99]
    if {"%d/%m/%Y", "%m/%d/%Y"} <= set(fits):
        raise UsageError(
            f"{label}: times such as {values.iloc[0]!r} may be day/month or month/day; say which with --time-format "
            "%d/%m/%Y or %m/%d/%Y"
        )
    if not fits:
        raise DataError(
            f"{label}: the time column {column!r} holds {values.iloc[0][:40]!r}, which is no known form; give one "
            "with --time-format, e.g. "
            "%Y-%m-%d, or name another column with --time"
        )
    return "text", fits[0], f"{column}: {values.iloc[0]!r} has the form {TIME_FORMATS[fits[0]]}"


def to_seconds(values: pd.Series, unit: str, form: str) -> np.ndarray:
    """float64 seconds; NaN where a value does not parse."""
    if unit == "text":
        parsed = pd.to_datetime(values, format=form, errors="coerce", utc=True)
        return (parsed - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
    return pd.to_numeric(values, errors="coerce").to_numpy(np.float64) / _UNITS.get(unit, 1.0)
