"""Times of unknown form → seconds since 1970; what could be two things is asked, not guessed."""

from __future__ import annotations

import datetime
import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from llmrec_core.data.importing.column_profile import is_epoch
from llmrec_core.data.importing.problems import ImportDataError, ImportQuestionError
from llmrec_core.data.text import printable
from llmrec_core.language import t

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
ISO = "ISO8601"
"""Dates from the year down to whatever precision, also mixed: one form of pandas' own."""
DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%d-%m-%y", "%m/%d/%y", "%m-%d-%y",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y",
    "%B %d %Y", "%b %d %Y", "%m %d, %Y", "Posted %B %d, %Y.",
)  # fmt: skip
CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H%M%S")
WHOLE = ("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S UTC %Y", "%a, %d %b %Y %H:%M:%S %z")
FORMS = tuple(
    dict.fromkeys(
        (
            *DATES,
            *(
                f"{date}{between}{clock}{zone}"
                for date, between, clock, zone in itertools.product(
                    DATES, (" ", "T", ", ", ""), CLOCKS, ("", "%z", " %z", " UTC")
                )
                if between or clock == "%H%M%S"
            ),
            *WHOLE,
        )
    )
)
FITS = 0.99
"""Share of values that a form must fit."""
PROBE = 30
"""Values that a form must fit before it is tried on all."""


@dataclass(frozen=True)
class TimeForm:
    """How times are written: a unit of numbers, or `text` with a format."""

    unit: str
    """A key of `UNITS`, `order` for numbers that are no instants, or `text`."""
    format: str
    evidence: str


def find_time_form(values: pd.Series, column: str, label: str) -> list[TimeForm]:
    """The forms that a sample of times can have; two when day and month cannot be told apart.

    Args:
        values: strings.
        column: its name for people.
        label: the file's name for people.

    Raises:
        DataError: when no known form fits.
    """
    values = values.str.strip()
    values = values[values != ""]
    if not len(values):
        raise ImportDataError(
            t("{label}: the time column {column!r} is empty", label=label, column=column), "time"
        )
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().mean() > FITS and not _is_compact(values):
        return [_of_numbers(float(numbers.median()), column)]
    example = printable(str(values.iloc[0]), 40)
    forms = _fitting(values)
    if not forms:
        raise ImportDataError(
            t(
                "{label}: the time column {column!r} holds {example!r}, which is no known form",
                label=label,
                column=column,
                example=example,
            ),
            "time-format",
            "time",
        )
    return [
        TimeForm(
            "text",
            form,
            t(
                "{column}: {example!r} has the form {form}",
                column=column,
                example=example,
                form=form,
            ),
        )
        for form in forms
    ]


def settle_day_or_month(
    forms: list[TimeForm], columns: Iterable[pd.Series], label: str
) -> TimeForm:
    """The form that fits more of the whole file, where its start left day and month open.

    Args:
        forms: one, which is it, or two.
        columns: the time column of the whole file, piece by piece.
        label: the file's name for people.

    Raises:
        UsageError: when both fit as well.
    """
    if len(forms) == 1:
        return forms[0]
    misfits = [0] * len(forms)
    for values in columns:
        filled = values[values.str.strip() != ""]
        for place, form in enumerate(forms):
            misfits[place] += int(np.isnan(to_seconds(filled, form)).sum())
    if len(set(misfits)) == 1:
        raise ImportQuestionError(
            t(
                "{label}: the times may have day or month first ({evidence})",
                label=label,
                evidence="; ".join(form.evidence for form in forms),
            ),
            "day-or-month",
        )
    return forms[int(np.argmin(misfits))]


def to_seconds(values: pd.Series, form: TimeForm) -> np.ndarray:
    """Seconds since 1970, float64; NaN where a value does not have the form.

    Args:
        values: strings.
        form: how they are written.
    """
    if form.unit == "text":
        parsed = pd.to_datetime(values.str.strip(), format=form.format, errors="coerce", utc=True)
        seconds: np.ndarray = (
            (parsed - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
        )
        return seconds
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan) / UNITS.get(form.unit, 1.0)


def _of_numbers(middle: float, column: str) -> TimeForm:
    for unit, per_second in UNITS.items():
        if is_epoch(middle / per_second, units=(1.0,)):
            day = datetime.datetime.fromtimestamp(middle / per_second, datetime.UTC).date()
            return TimeForm(
                unit,
                "",
                t(
                    "{column}: numbers around {middle:.0f}, as {unit} since 1970 that is {day}",
                    column=column,
                    middle=middle,
                    unit=unit,
                    day=day,
                ),
            )
    return TimeForm(
        "order",
        "",
        t(
            "{column}: numbers around {middle:g} are no date; used as an order only",
            column=column,
            middle=middle,
        ),
    )


def _is_compact(values: pd.Series) -> bool:
    """Whether whole numbers are dates written without separators, as 20180707 or 20180707220911."""
    shaped = values.str.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])(\d{6})?").mean()
    return bool(shaped > FITS and values.nunique() > 1)


def _fitting(values: pd.Series) -> list[str]:
    """The formats that fit: one, or two that differ in what comes first."""
    probe = values.iloc[:PROBE].tolist()
    if all(text[:4].isdigit() and text[4:5] == "-" for text in probe) and _fits(values, ISO):
        return [ISO]
    enough = 0.9 * len(probe)
    shapes = Counter(map(_shape, probe))
    shaped = [form for form in FORMS if sum(shapes[shape] for shape in _shapes(form)) > enough]
    likely = [form for form in shaped if sum(_parses(text, form) for text in probe) > enough]
    fitting = [form for form in likely if _fits(values, form)]
    if not fitting:
        return []
    first = fitting[0]
    twin = first.translate({ord("d"): "m", ord("m"): "d"})
    return [first, twin] if twin in fitting else [first]


def _shape(text: str) -> str:
    """The text with every run of digits as 9, of letters as a, and of blanks as one blank.

    A form is tried only on texts of its shape: there are two thousand forms, and for each the
    standard library compiles a pattern.

    >>> _shape("5. März 2024  10:30")
    '9. a 9 9:9'
    """
    return re.sub(r"\s+", " ", re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text)))


@cache
def _shapes(form: str) -> frozenset[str]:
    """The shapes that texts of a form can have; a zone is an offset or a letter.

    >>> sorted(_shapes("%d.%m.%Y %H:%M%z"))
    ['9.9.9 9:9+9', '9.9.9 9:9+9:9', '9.9.9 9:9-9', '9.9.9 9:9-9:9', '9.9.9 9:9a']
    """
    filled = re.sub(r"%[abBp]", "a", re.sub(r"%[dmyYHIMSf]", "9", form))
    zones = ("+9", "-9", "+9:9", "-9:9", "a") if "%z" in filled else ("",)
    return frozenset(_shape(filled.replace("%z", zone)) for zone in zones)


def _parses(text: str, form: str) -> bool:
    try:
        datetime.datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _fits(values: pd.Series, form: str) -> bool:
    parsed = pd.to_datetime(values, format=form, errors="coerce", utc=True)
    return bool(parsed.notna().mean() > FITS)
