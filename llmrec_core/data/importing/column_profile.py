"""What the values of a column look like, from a sample: numbers, times, words, lists of ids."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from llmrec_core.data.text import printable
from llmrec_core.language import t

MOSTLY = 0.9
"""Share of values from which a column counts as being of a sort."""
LONG_TEXT = 200
"""Mean characters above which text is a description, not a name."""
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
_WHOLE = re.compile(r"[-+]?\d+")
_DATE_LIKE = re.compile(
    r"\D{0,12}\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)"
    r"|\D{0,12}\d{1,2}[-\s][A-Za-z]{3,9}[-\s,]+\d{2,4}\b"
    r"|([A-Z][a-z]{2}\s)?[A-Za-z]{3,9}\.?\s\d{1,2},?\s+(\d{4}\b|\d{1,2}:)"
    r"|(Posted\s)?[A-Z][a-z]{2,8}\s\d{1,2},\s\d{4}"
    r"|\d{1,2}\s\d{1,2},\s\d{4}"
)
_LETTER = re.compile(r"[^\W\d_]")
_SPACED = re.compile(r"\S\s+\S")
_LISTED = re.compile(r"\[|[^\s,|;]+([ ,|;]+[^\s,|;]+){2,}$")
_LINKS = ("http://", "https://", "www.")
_FLAGS = frozenset({"true", "false", "yes", "no", "0", "1"})


@dataclass(frozen=True)
class ColumnProfile:
    """Shares are of the values that are not empty; all are from a sample of the first rows."""

    name: str
    rows: int
    filled: float
    """Share of rows with a value."""
    distinct: int
    numeric: float
    whole: float
    """Share of whole numbers."""
    median: float | None
    """Of the numbers; None where there is none."""
    flags: bool
    """Whether all values are yes or no, true or false, 0 or 1."""
    lettered: float
    """Share with a letter."""
    spaced: float
    """Share with a letter and a space: words rather than codes."""
    dated: float
    """Share written like a date."""
    linked: float
    """Share that are web addresses."""
    listed: float
    """Share that are lists of several short tokens."""
    mean_length: float
    """Mean characters."""
    example: str

    @property
    def unique(self) -> bool:
        """Whether no value occurs twice."""
        return self.distinct == self.rows

    @property
    def distinct_share(self) -> float:
        """Distinct values over values."""
        return self.distinct / max(self.rows * self.filled, 1)

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.numeric >= MOSTLY

    @property
    def is_time(self) -> bool:
        """Whether the values can be instants: written dates, or numbers of that size."""
        return self.dated >= MOSTLY or self.is_epoch or self.is_compact_date

    @property
    def is_epoch(self) -> bool:
        """Whether the values can be seconds (milli-, micro-, nano-) since 1970, 1979 to 2099."""
        return self.is_number and self.median is not None and is_epoch(self.median)

    @property
    def is_compact_date(self) -> bool:
        """Whether the values can be dates written as eight digits, 20180707."""
        return self.whole >= MOSTLY and self.median is not None and 1.9e7 < self.median < 2.1e7

    @property
    def is_text(self) -> bool:
        """Whether the values are short text for people."""
        return (
            self.lettered >= MOSTLY
            and not self.is_time
            and self.linked < 0.5
            and self.mean_length <= LONG_TEXT
        )

    @property
    def is_code(self) -> bool:
        """Whether the values can be identifiers: filled, without words, no times, no fractions."""
        return (
            self.filled >= MOSTLY
            and self.distinct > 1
            and self.spaced < 0.1
            and not self.dated >= MOSTLY
            and (not self.is_number or self.whole >= MOSTLY)
            and self.mean_length <= 80
        )

    def looks_like(self) -> str:
        """One phrase for people."""
        if self.is_time:
            return t("times such as {example}", example=self.example)
        if self.flags:
            return t("yes or no, such as {example}", example=self.example)
        if self.is_number:
            return t("numbers such as {example}", example=self.example)
        if self.spaced > 0.3:
            return t("text such as {example}", example=self.example)
        return t("codes such as {example}", example=self.example)


_EARLIEST, _LATEST = 3e8, 4.1e9  # 1979 to 2099, seconds


def is_epoch(number: float, units: Sequence[float] = (1.0, 1e3, 1e6, 1e9)) -> bool:
    """Whether a number can be an instant since 1970, counted in one of these parts of a second.

    Args:
        number: a value of the column.
        units: parts of a second, e.g. 1 and 1,000.
    """
    return any(_EARLIEST <= number / unit < _LATEST for unit in units)


def profile(values: Sequence[str], name: str) -> ColumnProfile:
    """The profile of a column.

    Args:
        values: strings, "" where missing.
        name: the column's name for people.
    """
    filled = [text for text in map(str.strip, values) if text]
    numbers = [text for text in filled if _NUMBER.fullmatch(text)]
    lettered = [text for text in filled if _LETTER.search(text)]
    share = partial(_share, of=len(filled))
    return ColumnProfile(
        name=name,
        rows=len(values),
        filled=len(filled) / max(len(values), 1),
        distinct=len(set(filled)),
        numeric=share(numbers),
        whole=share([text for text in numbers if _WHOLE.fullmatch(text)]),
        median=_median(numbers),
        flags=bool(filled) and {text.lower() for text in filled} <= _FLAGS,
        lettered=share(lettered),
        spaced=share([text for text in lettered if _SPACED.search(text)]),
        dated=share([text for text in filled if _DATE_LIKE.match(text)]),
        linked=share([text for text in filled if text.lower().startswith(_LINKS)]),
        listed=share([text for text in filled if _LISTED.match(text)]),
        mean_length=sum(map(len, filled)) / max(len(filled), 1),
        example=printable(filled[0], 30) if filled else "",
    )


def _share(values: Sequence[str], of: int) -> float:
    return len(values) / of if of else 0.0


def _median(numbers: Sequence[str]) -> float | None:
    """The middle of numbers written with a point or a comma; None where there is none."""
    return statistics.median(float(text.replace(",", ".")) for text in numbers) if numbers else None
