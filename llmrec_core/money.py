"""Dollars as people read them, for every room that names a price."""

from __future__ import annotations

import math

from llmrec_core.language import number, t

MOST_DECIMALS = 12


def dollars(value: float) -> str:
    """`28.7` → `$28.70`, `12345` → `$12,345`; cents below $1,000, and `< $0.01` below one cent.

    >>> dollars(3), dollars(-0.5), dollars(999.999)
    ('$3.00', '-$0.50', '$1,000')
    """
    size = abs(value)
    if 0 < size < 0.005:
        return t("< $0.01")
    amount = t("${amount}", amount=number(size, ",.2f" if size < 999.995 else ",.0f"))
    return t("-{amount}", amount=amount) if value < 0 else amount


def small_dollars(value: float) -> str:
    """A price of one hit, request or hour: three digits below a dollar, and always its cents.

    >>> small_dollars(3), small_dollars(0.02), small_dollars(0.0671), small_dollars(0.00012)
    ('$3.00', '$0.02', '$0.0671', '$0.00012')
    """
    if not 0 < value < 1:
        return dollars(value)
    decimals = min(MOST_DECIMALS, 2 - math.floor(math.log10(value)))
    digits = f"{value:.{decimals}f}".rstrip("0").partition(".")[2]
    if not digits:
        smallest = t("${amount}", amount=number(10.0**-MOST_DECIMALS, f".{MOST_DECIMALS}f"))
        return dollars(value) if value > 0.5 else t("less than {amount}", amount=smallest)
    return t("${amount}", amount=number(value, f",.{max(2, len(digits))}f"))
