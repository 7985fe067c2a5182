"""What an hour of a device costs and its electricity emits: dated CSVs, on demand or spot, or one's own by amortisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from llmrec_core.costmodel import tables
from llmrec_core.costmodel.devices import Device
from llmrec_core.errors import DataError, UsageError

HOURS_PER_MONTH = 730.0
KINDS = ("on-demand", "spot", "reserved")
RESERVED_SHARE = 0.6
"""A year's commitment over the on-demand price (assumed; providers list 0.4 to 0.75)."""
OVERHEAD = 1.3
"""Power usage effectiveness of the building, and the host beside the device (assumed)."""


@dataclass(frozen=True)
class Price:
    """Dollars for an hour of one device."""

    usd_per_hour: float
    provider: str
    date: str
    source: str
    kind: str


@lru_cache(maxsize=8)
def _offers(kind: str) -> dict[str, list[Price]]:
    found: dict[str, list[Price]] = {}
    for line, row in enumerate(tables.rows("rents"), start=2):
        column = "usd_per_hour_spot" if kind == "spot" else "usd_per_hour_on_demand"
        whole = tables.number(row[column])
        if whole is None:
            continue
        if not whole > 0:
            raise DataError(f"rents.csv line {line}: {column} is {whole:g}; expected dollars above 0")
        count = max(1.0, tables.number(row["devices"]) or 1.0)
        share = RESERVED_SHARE if kind == "reserved" else 1.0
        price = Price(whole / count * share, row["provider"], row["date"], row["source"], kind)
        found.setdefault(row["device"], []).append(price)
    return found


def hourly(device: Device, kind: str = "on-demand") -> Price | None:
    """The median offer for a device, or None when nobody in the table rents it out.

    A processor is priced by its cores at the table's price of virtual processors, two to a core.

    Raises:
        UsageError: for an unknown kind of price.
    """
    if kind not in KINDS:
        raise UsageError(f"price {kind!r}; expected one of {', '.join(KINDS)}")
    offers = _offers(kind)
    if device.kind == "cpu" and device.cores:
        each = (
            sorted(
                (
                    (one.usd_per_hour / float(name.removeprefix("CPU-").removesuffix("vcpu")), one)
                    for name, found in offers.items()
                    if name.startswith("CPU-")
                    for one in found
                ),
                key=lambda pair: pair[0],
            )
            if kind != "spot" or any(name.startswith("CPU-") for name in offers)
            else []
        )
        if not each:
            return None
        per_vcpu, like = each[len(each) // 2]
        return Price(per_vcpu * 2 * device.cores, like.provider, like.date, like.source, kind)
    found = sorted(offers.get(device.name, []), key=lambda one: one.usd_per_hour)
    return found[len(found) // 2] if found else None


def owned(purchase_usd: float, years: float, watts: float, usd_per_kwh: float = 0.15) -> Price:
    """An hour of one's own hardware: purchase spread over its life, plus electricity.

    Raises:
        UsageError: for anything that is not above 0.
    """
    for name, value in (
        ("purchase price", purchase_usd),
        ("years", years),
        ("watts", watts),
        ("$ per kWh", usd_per_kwh),
    ):
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{name} is {value:g}; expected a number above 0")
    hour = purchase_usd / (years * 365.25 * 24) + watts * OVERHEAD / 1000 * usd_per_kwh
    return Price(hour, "own", "", "amortised purchase and electricity", "owned")


def check_price(usd_per_hour: float) -> None:
    """Refuse a price of 0 or less.

    Raises:
        UsageError: naming it.
    """
    if not (usd_per_hour > 0 and math.isfinite(usd_per_hour)):
        raise UsageError(f"$ per hour is {usd_per_hour:g}; expected dollars above 0")


@lru_cache(maxsize=1)
def grids() -> dict[str, tuple[float, str, str]]:
    """Grid intensities by region, country or place: g CO2e per kWh, year, source; lower-case names."""
    found: dict[str, tuple[float, str, str]] = {}
    for row in tables.rows("grids"):
        value = tables.number(row["g_co2e_per_kwh"])
        if value is None:
            continue
        for name in (row["region"], row["country"] if row["scope"] in ("country", "world") else row["region"]):
            found.setdefault(name.lower(), (value, row["year"], row["source"]))
    return found


def intensity(region: str) -> float:
    """g CO2e per kWh of a region, country or `world`.

    Raises:
        UsageError: unknown region, with near names.
    """
    known = grids()
    if region.lower() not in known:
        raise UsageError(f"unknown region {region!r}; near names: {tables.nearest(region, known)}")
    return known[region.lower()][0]


def tonnes_per_month(watts: float, devices: float, busy: float, g_per_kwh: float) -> float:
    """tCO2e in a month: idle devices draw a third of the rated power (assumed)."""
    mean = watts * (0.33 + 0.67 * busy) * OVERHEAD
    return devices * mean * HOURS_PER_MONTH / 1000 * g_per_kwh / 1e6
