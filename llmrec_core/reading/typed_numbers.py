"""Numbers as people type them, read exactly or refused.

Decimal points and commas are understood, and spaces between thousands.
"""

from __future__ import annotations

import math
import re

from llmrec_core.errors import UsageError
from llmrec_core.language import digits, t

_SPACES = re.compile(r"[\s_'\u2019]")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


def read_number(
    text: str, name: str, low: float = 0.0, high: float = math.inf, *, whole: bool = False
) -> float:
    """The number that a person has typed.

    Args:
        text: what was typed, e.g. `12.5`, `12,5`, `1 000` or `1,234.5`.
        name: of the field, for the refusal.
        low: the smallest number that is accepted.
        high: the largest.
        whole: whether a fraction is refused.

    Raises:
        UsageError: for what is no number, can be read in two ways, or is out of bounds.

    >>> read_number("12,5", "p95"), read_number("1,234.5", "p95"), read_number("0,001", "p95")
    (12.5, 1234.5, 0.001)
    """
    plain = _SPACES.sub("", text)
    if _THOUSANDS.fullmatch(plain) and plain.count(",") == 1:
        thousands, decimal = plain.replace(",", ""), plain.replace(",", ".").rstrip("0").rstrip(".")
        raise UsageError(
            t(
                "{name}: {text} can be read as {whole} or as {decimal}; type one of them",
                name=name,
                text=text,
                whole=thousands,
                decimal=decimal,
            )
        )
    if "," in plain and "." in plain:
        plain = plain.replace(min(",", ".", key=plain.rfind), "")
    elif plain.count(",") > 1:
        plain = plain.replace(",", "")
    try:
        value = float(plain.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(t("{name}: {text!r} is no number; type e.g. 12.5", name=name, text=text))
    if not low <= value <= high or (whole and value != int(value)):
        raise UsageError(
            t(
                "{name} is {value}; expected {bounds}",
                name=name,
                value=digits(value),
                bounds=_bounds(low, high, whole),
            )
        )
    return value


def _bounds(low: float, high: float, whole: bool) -> str:
    ends = {"low": digits(low), "high": digits(high)}
    if math.isinf(high):
        return t("a whole number, {low} or more", **ends) if whole else t("{low} or more", **ends)
    if whole:
        return t("a whole number from {low} to {high}", **ends)
    return t("a number from {low} to {high}", **ends)


def as_typed(value: float) -> str:
    """A number as a person would type it: no exponent, no separators.

    >>> as_typed(50.0), as_typed(0.00001), as_typed(1e7)
    ('50', '0.00001', '10000000')
    """
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text or "0"
