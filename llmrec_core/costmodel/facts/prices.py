"""What an hour of a device costs: offers of a dated list, a typed price, or one's own device.

`rents.csv` holds what providers ask, a source and a date in every line. The median offer counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from llmrec_core.costmodel.facts import bounds, csv_facts
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import marked, t

HOURS_PER_MONTH = 730.0
"""Hours of a twelfth of a year of 365 days."""
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
KINDS = ("on-demand", "spot", "reserved")
RESERVED_SHARE = 0.6
"""A year's commitment over the on-demand price (assumed; providers list 0.4 to 0.75)."""
DEFAULT_USD_PER_KWH = 0.15


@dataclass(frozen=True)
class Price:
    """What one device costs."""

    usd_per_hour: float
    """Of every hour it is kept, whether it works or not."""
    usd_per_kwh: float = 0.0
    """Of the electricity, where the price of the hour does not hold it."""
    provider: str = ""
    date: str = ""
    source: str = ""
    kind: str = "on-demand"
    """`on-demand`, `spot`, `reserved`, `owned`, `typed` or `recorded`."""

    @property
    def origin(self) -> str:
        """Where the price comes from, as a person reads it."""
        if self.kind == "typed":
            return t("typed in")
        if self.kind == "owned":
            return t("own device: purchase spread over its life, and electricity")
        parts = (
            self.provider or self.source,
            self.date,
            "" if self.kind == "recorded" else self.kind,
        )
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Market:
    """Which offers count."""

    kind: str = "on-demand"
    providers: frozenset[str] = field(default_factory=frozenset)
    """Only these providers; empty for all."""
    regions: frozenset[str] = field(default_factory=frozenset)
    """Only these regions of the price list; empty for all."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                t("price {kind!r}; expected one of {kinds}", kind=self.kind, kinds=", ".join(KINDS))
            )
        _check_names(t("provider"), self.providers, providers())
        _check_names(t("region"), self.regions, regions())

    def admits(self, offer: Offer) -> bool:
        """Whether an offer counts."""
        return (not self.providers or offer.price.provider in self.providers) and (
            not self.regions or offer.region in self.regions
        )


@dataclass(frozen=True)
class Offer:
    """One line of the price list, for one device of its instance."""

    device: str
    region: str
    price: Price


def _check_names(what: str, names: Collection[str], listed: Collection[str]) -> None:
    for name in names:
        if name not in listed:
            raise UsageError(
                t(
                    "unknown {what} {name!r} in the price list; near names: {near}",
                    what=what,
                    name=name,
                    near=csv_facts.nearest(name, listed),
                )
            )


def providers() -> list[str]:
    """Providers of the price list."""
    return sorted({row["provider"] for row in csv_facts.rows("rents")})


def regions() -> list[str]:
    """Regions of the price list, as their providers call them."""
    return sorted({row["region"] for row in csv_facts.rows("rents")} - {""})


@lru_cache(maxsize=8)
def offers(kind: str) -> tuple[Offer, ...]:
    """The price list for one kind of price, each line divided by the devices of its instance.

    Raises:
        DataError: for a price that is not above 0, with its line.
    """
    column = "usd_per_hour_spot" if kind == "spot" else "usd_per_hour_on_demand"
    share = RESERVED_SHARE if kind == "reserved" else 1.0
    listed = []
    for line, row in enumerate(csv_facts.rows("rents"), start=2):
        whole = csv_facts.number(row[column])
        if whole is None:
            continue
        if not whole > 0:
            raise DataError(
                t(
                    "rents.csv line {line}: {column} is {whole:g}; expected dollars above 0",
                    line=line,
                    column=column,
                    whole=whole,
                )
            )
        each = whole / max(1.0, csv_facts.number(row["devices"]) or 1.0) * share
        price = Price(each, 0.0, row["provider"], row["date"], row["source"], kind)
        listed.append(Offer(row["device"], row["region"], price))
    return tuple(listed)


def hourly(device: Device, market: Market | None = None) -> Price | None:
    """The median offer for a device, or None when nobody in the market rents it out.

    A processor is priced by its cores at the list's price of virtual processors, two to a core.
    """
    market = market or Market()
    admitted = [offer for offer in offers(market.kind) if market.admits(offer)]
    if device.kind == "cpu" and device.cores:
        return _of_cores(admitted, device.cores)
    fitting = [offer.price for offer in admitted if offer.device == device.name]
    fitting.sort(key=lambda price: price.usd_per_hour)
    return fitting[len(fitting) // 2] if fitting else None


VCPU_PREFIX, VCPU_SUFFIX = "CPU-", "vcpu"


def _of_cores(admitted: Collection[Offer], cores: int) -> Price | None:
    """The median price of a virtual processor, times two for every core."""
    each = [
        (offer.price.usd_per_hour / _vcpus(offer.device), offer.price)
        for offer in admitted
        if offer.device.startswith(VCPU_PREFIX)
    ]
    if not each:
        return None
    each.sort(key=lambda pair: pair[0])
    per_vcpu, like = each[len(each) // 2]
    return Price(per_vcpu * 2 * cores, 0.0, like.provider, like.date, like.source, like.kind)


def _vcpus(name: str) -> float:
    return float(name.removeprefix(VCPU_PREFIX).removesuffix(VCPU_SUFFIX))


def typed(usd_per_hour: float) -> Price:
    """A price that the reader typed in.

    Raises:
        UsageError: for dollars that are no number above 0.
    """
    bounds.check(usd_per_hour=usd_per_hour)
    return Price(usd_per_hour, kind="typed")


def owned(purchase_usd: float, years: float, usd_per_kwh: float = DEFAULT_USD_PER_KWH) -> Price:
    """One's own device: the purchase spread over its life, electricity by what it draws.

    Args:
        purchase_usd: what the device cost.
        years: how long it is used.
        usd_per_kwh: what electricity costs.

    Raises:
        UsageError: for a figure outside its range.
    """
    bounds.check(purchase_usd=purchase_usd, years=years, usd_per_kwh=usd_per_kwh)
    return Price(purchase_usd / (years * 365 * 24), usd_per_kwh, kind="owned")


PRICE_KINDS = {
    "on-demand": marked("On demand"),
    "spot": marked("Spot"),
    "reserved": marked("Reserved for a year (60 % of on demand, assumed)"),
}
"""How each kind of price is called."""
