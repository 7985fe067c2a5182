"""Figures as people read them: records hold SI units, these turn them into "12.3 ms" or "$0.41".

Also the one place that writes tables as CSV, so that no cell becomes a formula in a spreadsheet.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from llmrec_core.types import Measurement

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def significant(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits and thousands separators; below 1e-6 in exponent form."""
    if value == 0:
        return "0"
    decimals = digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2])  # the exponent after rounding
    return f"{value:.2e}" if decimals > 8 else f"{round(value, decimals):,.{max(decimals, 0)}f}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    for size, unit in steps:
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size)} {unit}".strip()
    size, unit = steps[-1]
    return f"{significant(value / size)} {unit}".strip()


def duration(seconds: float) -> str:
    """`0.0123` → `12.3 ms`; minutes and hours from two minutes on."""
    if abs(seconds) >= 7200:
        return f"{significant(seconds / 3600)} h"
    if abs(seconds) >= 120:
        return f"{significant(seconds / 60)} min"
    if 1e-5 <= abs(seconds) < 1e-3:
        return f"{significant(seconds * 1e3, 2)} ms"
    return _scaled(seconds, ((1, "s"), (1e-3, "ms"), (1e-6, "µs")))


def dollars(value: float) -> str:
    """`0.0123` → `$0.0123`, `12345` → `$12,300`; cents only below $100."""
    sign = "-" if value < 0 else ""
    return f"{sign}${significant(abs(value))}"


def count(value: float) -> str:
    """`22700000` → `22.7 M`."""
    if abs(value) < 10_000 and value == int(value):
        return f"{int(value):,}"
    return _scaled(value, ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")))


def flops(value: float) -> str:
    """`1.62e10` → `16.2 GFLOP`."""
    return _scaled(
        value, ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"), (1, "FLOP"))
    )


def size(value: float) -> str:
    """`91226112` → `87.0 MiB`."""
    return _scaled(value, ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")))


def share(value: float) -> str:
    """`0.7312` → `73.1 %`."""
    percent = 100 * value
    return f"{percent:.0f} %" if abs(percent - round(percent)) < 1e-9 else f"{significant(percent)} %"


def quality(value: float) -> str:
    """Ranking metrics with three decimals."""
    return f"{value:.3f}"


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


def value_text(value: float, unit: str, name: str = "") -> str:
    """A value in the unit a record keeps it in, as read."""
    if name.split("@")[0] in ("ndcg", "recall", "hit", "mrr", "auc"):
        return quality(value)
    if name in ("mfu", "utilisation", "foreign_load"):
        return share(value)
    if name.startswith("usd_"):
        return dollars(value)
    if name.startswith("gco2e_"):
        return mass(value)
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("flops_per_s"):
        return flops(value) + "/s"
    if "flops" in name:
        return flops(value)
    if name.endswith("bytes_per_s"):
        return size(value) + "/s"
    if name.endswith("_s") and not name.endswith("_per_s"):
        return duration(value)
    if unit in BY_UNIT:
        return BY_UNIT[unit](value)
    return count(value) if abs(value) >= 1000 else significant(value)


def figure(measurement: Measurement, interval: bool = False) -> str:
    """A measurement in words: its value, or "not measured: reason"."""
    if measurement.value is None:
        return f"not measured: {measurement.reason}"
    text = value_text(measurement.value, measurement.unit, measurement.name)
    if interval and measurement.low is not None and measurement.high is not None:
        low = value_text(measurement.low, measurement.unit, measurement.name)
        high = value_text(measurement.high, measurement.unit, measurement.name)
        text += f" ({low} to {high})"
    return text


def escape(text: Any) -> str:
    """Text as it may stand in HTML, SVG or a plotly label: tags lose their meaning."""
    return html.escape(str(text), quote=True)


def plain(text: Any) -> str:
    """Text as it may stand inside streamlit markdown: every character that could mean something is escaped."""
    flat = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]+", " ", str(text))
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", flat)


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula (OWASP list); numbers are left alone."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value


def to_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV with formula starts in text cells and headers made harmless."""
    safe = frame.rename(columns=safe_cell)
    for position, kind in enumerate(safe.dtypes):
        if kind.kind not in "fiub":
            safe.isetitem(position, safe.iloc[:, position].map(safe_cell))
    return safe.to_csv(index=False).encode("utf-8")
