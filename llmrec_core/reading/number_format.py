"""Figures as people read them: records hold SI units, these turn them into "12.3 ms" or "$0.41".

Also the one place that writes tables as CSV, so that no cell becomes a formula in a spreadsheet.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmrec_core.files import safe_cell
from llmrec_core.language import SOURCE_LANGUAGE, language, marked, number, short_count, t
from llmrec_core.money import MOST_DECIMALS
from llmrec_core.money import dollars as dollars
from llmrec_core.money import small_dollars as small_dollars
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    import pandas as pd


def significant(value: float, digits: int = 3) -> str:
    """A value with so many digits and thousands separators, never in exponent form.

    >>> significant(0.000123), significant(1234567), significant(1e-20)
    ('0.000123', '1,230,000', '< 0.000000000001')
    """
    if value == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # after rounding
    decimals = digits - 1 - exponent
    if exponent < -MOST_DECIMALS:
        return t("< {smallest}", smallest=f"{10.0**-MOST_DECIMALS:.{MOST_DECIMALS}f}")
    return number(round(value, decimals), f",.{max(decimals, 0)}f")


def _with_unit(text: str, unit: str) -> str:
    return t("{number} {unit}", number=text, unit=t(unit)) if unit else text


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    for size, unit in steps:
        if abs(value) >= size * 0.9995:
            return _with_unit(significant(value / size), unit)
    size, unit = steps[-1]
    return _with_unit(significant(value / size), unit)


def duration(seconds: float) -> str:
    """`0.0123` → `12.3 ms`; minutes and hours from two minutes on."""
    if abs(seconds) >= 7200:
        return _with_unit(significant(seconds / 3600), marked("h"))
    if abs(seconds) >= 120:
        return _with_unit(significant(seconds / 60), marked("min"))
    if 1e-5 <= abs(seconds) < 1e-3:
        return _with_unit(significant(seconds * 1e3, 2), "ms")
    return _scaled(seconds, ((1, marked("s")), (1e-3, "ms"), (1e-6, "µs")))


def about(seconds: float) -> str:
    """A time that is expected, in whole seconds, minutes or hours: `312.4` → `5 min`."""
    for size, unit in ((3600, marked("h")), (60, marked("min"))):
        if seconds >= 2 * size:
            return _with_unit(whole(seconds / size), unit)
    return _with_unit(whole(max(1.0, seconds)), marked("s"))


def whole(value: float) -> str:
    """Every digit of a whole number: `71234` → `71,234`."""
    return number(round(value), ",")


def part_of(shown: int, total: int) -> str:
    """How much of something is shown: `200 of 1,682`."""
    return t("{shown} of {total}", shown=whole(shown), total=whole(total))


def count(value: float) -> str:
    """`22700000` → `22.7 M`, in other languages in their own steps."""
    if abs(value) < 10_000 and value == int(value):
        return number(int(value))
    if language() != SOURCE_LANGUAGE:
        return short_count(value)
    return _scaled(value, ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")))


def year(value: float) -> str:
    """A year, without separators."""
    return f"{value:.0f}"


def flops(value: float) -> str:
    """`1.62e10` → `16.2 GFLOP`."""
    return _scaled(
        value,
        (
            (1e15, "PFLOP"),
            (1e12, "TFLOP"),
            (1e9, "GFLOP"),
            (1e6, "MFLOP"),
            (1e3, "kFLOP"),
            (1, "FLOP"),
        ),
    )


def size(value: float) -> str:
    """`91226112` → `87.0 MiB`."""
    return _scaled(value, ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")))


def share(value: float) -> str:
    """`0.7312` → `73.1 %`."""
    percent = 100 * value
    whole = abs(percent - round(percent)) < 1e-9
    return t("{percent} %", percent=number(percent, ".0f") if whole else significant(percent))


def quality(value: float) -> str:
    """Ranking metrics with three decimals."""
    return number(value, ".3f")


def chance(value: float) -> str:
    """A probability with three decimals; below 0.001 it says so."""
    return t("< 0.001") if value < 0.0005 else number(value, ".3f")


def signed(value: float, digits: int = 3) -> str:
    """`0.0123` → `+0.012`; what rounds to nothing has no sign."""
    text = number(value, f"+.{digits}f")
    return text[1:] if not float(f"{value:.{digits}f}") else text


def energy(value: float) -> str:
    """`0.0042` → `4.20 mJ`."""
    return _scaled(value, ((1e6, "MJ"), (1e3, "kJ"), (1, "J"), (1e-3, "mJ"), (1e-6, "µJ")))


def mass(grams: float) -> str:
    """`12345` → `12.3 kg CO2e`."""
    return _scaled(grams, ((1e6, "t CO2e"), (1e3, "kg CO2e"), (1, "g CO2e"), (1e-3, "mg CO2e")))


BY_UNIT = {
    "s": duration,
    "usd": dollars,
    "USD": dollars,
    "USD/h": dollars,
    "$": dollars,
    "flops": flops,
    "FLOP": flops,
    "FLOP/s": lambda value: flops(value) + "/s",
    "B": size,
    "byte": size,
    "bytes": size,
    "B/s": lambda value: size(value) + "/s",
    "bytes/s": lambda value: size(value) + "/s",
    "J": energy,
    "g": mass,
    "gCO2e": mass,
}


RANKING = ("ndcg", "recall", "hit", "mrr", "auc")
BY_NAME: tuple[tuple[Callable[[str], bool], Callable[[float], str]], ...] = (
    (lambda name: name in ("mfu", "utilisation", "foreign_load"), share),
    (lambda name: name.startswith("usd_"), dollars),
    (lambda name: name.startswith("gco2e_"), mass),
    (lambda name: name.endswith("_bytes"), size),
    (lambda name: name.endswith("flops_per_s"), lambda value: flops(value) + "/s"),
    (lambda name: "flops" in name, flops),
    (lambda name: name.endswith("bytes_per_s"), lambda value: size(value) + "/s"),
    (lambda name: name.endswith("_s") and not name.endswith("_per_s"), duration),
)


def value_text(value: float, unit: str, name: str = "") -> str:
    """A value in the unit a record keeps it in, as read.

    Args:
        value: as recorded.
        unit: as recorded.
        name: of the figure, which decides before its unit.
    """
    if name.partition("@")[0] in RANKING:
        return quality(value)
    for names_it, show in BY_NAME:
        if names_it(name):
            return show(value)
    if unit in BY_UNIT:
        return BY_UNIT[unit](value)
    return count(value) if abs(value) >= 1000 else significant(value)


def figure(measurement: Measurement, interval: bool = False) -> str:
    """A measurement in words: its value, or "not measured: reason"."""
    if measurement.value is None:
        return t("not measured: {reason}", reason=measurement.reason)
    text = value_text(measurement.value, measurement.unit, measurement.name)
    if interval and measurement.low is not None and measurement.high is not None:
        low = value_text(measurement.low, measurement.unit, measurement.name)
        high = value_text(measurement.high, measurement.unit, measurement.name)
        text = t("{value} ({low} to {high})", value=text, low=low, high=high)
    return text


def escape(text: object) -> str:
    """Text as it may stand in HTML, SVG or a plotly label: tags lose their meaning."""
    return html.escape(str(text), quote=True)


def plain(text: object) -> str:
    """Text as it may stand inside Markdown: every character with a meaning there is escaped.

    Marks that turn the direction of text are left out, so that a name reads as it is written. An
    address gets an invisible word joiner, since Markdown makes a link of what is escaped as well.
    """
    flat = re.sub(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", str(text))
    flat = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", flat)
    flat = re.sub(r"(?i)(https?|ftp)(?=://)|www(?=\.)", "\\g<0>\u2060", flat)
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", flat)


def code_span(text: str) -> str:
    """Text as a span of code in Markdown, in which nothing has a meaning.

    >>> code_span("report --study x"), code_span("a`b")
    ('`report --study x`', '`` a`b ``')
    """
    flat = " ".join(text.split())
    longest = max(map(len, re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {flat} {fence}" if longest else f"{fence}{flat}{fence}"


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV with formula starts in text cells and headers made harmless."""
    safe = frame.rename(columns=safe_cell)
    for position, kind in enumerate(safe.dtypes):
        if kind.kind not in "fiub":
            safe.isetitem(position, safe.iloc[:, position].map(safe_cell))
    return str(safe.to_csv(index=False)).encode("utf-8")
