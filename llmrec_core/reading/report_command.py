"""What a reader of a report may type, on the page and in a terminal, and the command for the page.

The page and `llmrec report` write the same file when both are told the same, so both read their
ranges here, and the page shows the command with all that was typed on it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from llmrec_core.costmodel.facts.bounds import Bound
from llmrec_core.language import marked
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.typed_numbers import as_typed
from llmrec_core.reading.verdict import DEFAULT_TRAFFIC, Traffic


@dataclass(frozen=True)
class Typed:
    """A number of a reader: its option, its range, and its unit in the option."""

    option: str
    bound: Bound
    factor: float = 1.0
    """From the unit that records keep to that of the option."""

    @property
    def of_option(self) -> Bound:
        """The range in the unit of the option, where a page shows another one."""
        if self.bound.factor == self.factor:
            return self.bound
        return replace(self.bound, factor=self.factor, unit="")


NUMBERS = {
    "requests_per_month": Typed(
        "--requests-per-month", Bound(marked("requests per month"), 1, 1e15)
    ),
    "usd_per_month": Typed("--usd-per-month", Bound(marked("$ per month"), 0.01, 1e12)),
    "p95_s": Typed(
        "--p95-ms", Bound(marked("latency limit"), 1e-6, 1e4, factor=1000, unit="ms"), 1000
    ),
    "usd_per_million": Typed("--usd-per-million", Bound(marked("$ per million requests"), 0, 1e12)),
    "share_of_best": Typed(
        "--share-of-best", Bound(marked("share of the best quality"), 0.01, 1, factor=100, unit="%")
    ),
    "hit_worth_usd": Typed("--hit-worth-usd", Bound(marked("worth of a hit"), 0, 1e9, unit="$")),
    "usd_per_hour": Typed("--usd-per-hour", Bound(marked("$ per hour"), 1e-4, 1e4)),
    "utilisation": Typed(
        "--utilisation", Bound(marked("utilisation"), 0.001, 1, factor=100, unit="%")
    ),
    "watts": Typed("--watts", Bound(marked("power under load"), 0.1, 1e5, unit="W")),
    "grid_g_per_kwh": Typed(
        "--grid-g-per-kwh", Bound(marked("grid intensity"), 0, 2000, unit="g/kWh")
    ),
}
"""By the name of the field of `Traffic` or `Pricing`."""


def ends(name: str) -> tuple[float, float]:
    """The smallest and the largest number of a field, in the unit in which it is shown."""
    bound = NUMBERS[name].bound
    return bound.low * bound.factor, bound.high * bound.factor


def read_needs(typed: Mapping[str, float | None]) -> tuple[Traffic, Pricing]:
    """Traffic and price as options say them; what was not typed is as usual.

    Args:
        typed: by the names of `NUMBERS`, in the units of the options.

    Raises:
        UsageError: naming the option that is out of its range.
    """
    values = {}
    for name, value in typed.items():
        if value is not None:
            values[name] = value / NUMBERS[name].factor
            NUMBERS[name].of_option.check(values[name], NUMBERS[name].option)
    priced = {name: values.pop(name) for name in Pricing.__dataclass_fields__ if name in values}
    return Traffic(**values), Pricing(**priced)


def command(
    study: str,
    out: str,
    traffic: Traffic,
    pricing: Pricing,
    *,
    comment: str = "",
    untied: bool = False,
) -> str:
    """The line for a terminal that writes the same report.

    Args:
        study: its name.
        out: the file that it writes.
        traffic: what the reader needs.
        pricing: what the reader has typed.
        comment: of the reader.
        untied: whether people whose last items share one moment are left out.
    """
    words = ["python", "-m", "llmrec_core", "report", "--study", study, "--out", out]
    values = asdict(traffic) | asdict(pricing)
    usual = asdict(DEFAULT_TRAFFIC) | asdict(AS_RECORDED)
    for name, typed in NUMBERS.items():
        value = values[name]
        if value is not None and value != usual[name]:
            words += [typed.option, as_typed(value * typed.factor)]
    if comment.strip():
        words += ["--comment", comment]
    if untied:
        words.append("--without-tied")
    return shlex.join(words)
