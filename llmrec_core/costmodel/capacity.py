"""Plans with an availability in place of a number of spares, and the cheapest plan without planning every device.

A device is up a share of the time, independently of the others (assumed); enough of them stand by that the load is
carried with the wanted probability. The cheapest plan is found by branch and bound: no plan can cost less than the
devices that the mean load of the busiest hour keeps fully busy, and a device whose bound is above the second-best plan
is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

from llmrec_core.costmodel import model, planner, prices
from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.planner import Plan, Traffic
from llmrec_core.costmodel.query import Framework, framework
from llmrec_core.errors import UnsupportedError, UsageError

EXACT = 20_000
"""Devices up to which the binomial is summed; above, its normal approximation."""


def spares(needed: int, target: float, each_up: float = 0.99) -> int:
    """The fewest devices beyond `needed` so that at least `needed` are up with probability `target`.

    P(D ≤ s), D the devices that are down: binomial with needed + s trials and chance 1 − each_up.

    >>> spares(1, 0.999, 0.99)  # two devices are both down in 0.0001 of the time
    1

    Raises:
        UsageError: for a target or an `each_up` outside 0 … 1.
    """
    for name, value in (("availability", target), ("availability of one device", each_up)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is {100 * value:g} %; expected above 0 % and below 100 %")
    if needed < 1:
        return 0
    down = 1 - each_up
    if needed > EXACT:
        wide = NormalDist().inv_cdf(target)
        found = 0.0
        for _ in range(20):  # a contraction: each step moves the total by `down` of the last one
            total = needed + found
            found = total * down + wide * math.sqrt(total * down * each_up)
        return max(0, math.ceil(found))
    low, high = -1, 1
    while _chance(needed + high, high, down) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _chance(needed + middle, middle, down) < target:
            low = middle
        else:
            high = middle
    return high


def _chance(devices: int, most: int, down: float) -> float:
    """Probability that at most `most` of the devices are down."""
    term = devices * math.log1p(-down)
    total = 0.0
    for k in range(most + 1):
        total += math.exp(term)
        term += math.log((devices - k) / (k + 1)) + math.log(down) - math.log1p(-down) if k < devices else 0.0
    return total


@dataclass(frozen=True)
class Need:
    """What has to be served, how surely, and what an hour costs."""

    traffic: Traffic
    """Its `spare` and `retrain_gpu_hours` are ignored in favour of the fields below."""
    availability: float = 0.999
    """Share of the time in which the busiest hour's load can be carried."""
    each_up: float = 0.99
    """Share of the time in which one device is up (assumed)."""
    retrain_hours: float = 0.0
    """Device hours of retraining in a month."""
    precision: str = "fp16"
    runtime: Framework = field(default_factory=lambda: framework("pytorch"))
    price: str = "on-demand"
    own: Mapping[str, float] | None = None
    """Dollars an hour of devices the reader owns, by name."""
    g_per_kwh: float = 475.0
    known: model.Coefficients | None = None
    """Coefficients pulled by own runs (`own_runs.load`); the product's when not given."""

    def __post_init__(self) -> None:
        spares(1, self.availability, self.each_up)
        if not self.retrain_hours >= 0:
            raise UsageError(f"retraining hours are {self.retrain_hours:g}; expected 0 or more")

    @property
    def bare(self) -> Traffic:
        """The traffic without spares and retraining, which are added afterwards."""
        return replace(self.traffic, spare=0, retrain_gpu_hours=0.0)

    def hourly(self, device: Device) -> float | None:
        """Dollars an hour of one device; None when nobody rents it out."""
        if self.own and device.name in self.own:
            return self.own[device.name]
        offer = prices.hourly(device, self.price)
        return offer.usd_per_hour if offer else None


def plan_device(architecture: Architecture, device: Device, need: Need) -> Plan:
    """One device's plan with the spares that the availability asks for."""
    own = (need.own or {}).get(device.name)
    options: dict[str, Any] = {
        "precision": need.precision,
        "runtime": need.runtime,
        "price": need.price,
        "known": need.known,
    }
    found = planner.plan_device(architecture, device, need.bare, usd_per_hour=own, g_per_kwh=need.g_per_kwh, **options)
    if not found.devices:
        return found
    total = found.devices + spares(found.devices, need.availability, need.each_up)
    carbon = found.t_co2e_per_month * total / found.devices
    if found.usd_per_month is None:
        return replace(found, devices=total, t_co2e_per_month=carbon)
    month = found.usd_per_month / found.devices
    once = need.retrain_hours * month / prices.HOURS_PER_MONTH

    def dollars(bare: float | None) -> float | None:
        if bare is None:
            return None
        devices = max(1, round(bare / month))
        return month * (devices + spares(devices, need.availability, need.each_up)) + once

    return replace(
        found,
        devices=total,
        usd_per_month=dollars(found.usd_per_month),
        usd_low80=dollars(found.usd_low80),
        usd_high80=dollars(found.usd_high80),
        t_co2e_per_month=carbon,
        price_source="own, purchase and electricity" if own is not None else found.price_source,
    )


def plans(architecture: Architecture, devices: Mapping[str, Device], need: Need) -> list[Plan]:
    """Every device's plan: possible ones by dollars, those without a price, then impossible ones."""
    return ordered(plan_device(architecture, device, need) for device in devices.values())


def ordered(found: Iterable[Plan]) -> list[Plan]:
    """Cheapest first, then unpriced, then impossible."""
    return sorted(
        found, key=lambda one: (one.devices == 0, one.usd_per_month is None, one.usd_per_month or 0.0, one.device)
    )


def best_two(architecture: Architecture, devices: Mapping[str, Device], need: Need) -> list[Plan]:
    """The cheapest plan and the runner-up, as `plans` would order them; shorter where fewer are possible."""
    bounds = []
    for device in devices.values():
        bound = _bound(architecture, device, need)
        if bound is not None:
            bounds.append((bound, device.name, device))
    best: list[Plan] = []
    for bound, _, device in sorted(bounds, key=lambda one: one[:2]):
        if len(best) == 2 and bound > (best[1].usd_per_month or 0.0):
            break
        found = plan_device(architecture, device, need)
        if found.usd_per_month is not None:
            best = ordered([*best, found])[:2]
    return best


def _bound(architecture: Architecture, device: Device, need: Need) -> float | None:
    """Dollars a month that no plan on this device stays below; None when it has no price or no plan."""
    hour, traffic = need.hourly(device), need.bare
    if hour is None:
        return None
    try:
        one, full = (
            planner.request_seconds(
                architecture, device, traffic, need.precision, need.runtime, float(batch), need.known
            )[0]
            for batch in (1, traffic.most)
        )
    except UnsupportedError:
        return None
    if one > traffic.p95_s:
        return None
    return hour * prices.HOURS_PER_MONTH * max(1, math.floor(traffic.rate * max(one, full) / traffic.most))


def sentence(found: list[Plan], traffic: Traffic) -> str:
    """The cheapest plan, the runner-up and why it loses."""
    priced = [one for one in found if one.usd_per_month is not None]
    limit = f"{1000 * traffic.p95_s:g} ms"
    if not priced:
        unpriced = next((one for one in found if one.devices), None)
        if unpriced:
            return (
                f"{unpriced.devices:,} × {unpriced.device} are predicted to meet {limit} at p95, but nobody in the price "
                "table rents it out; type a price of your own."
            )
        return f"No device in the catalogue is predicted to answer within {limit} at p95."
    best = priced[0]
    text = f"{told(best)} is the cheapest plan predicted to answer within {limit} at p95"
    if len(priced) == 1:
        return text + "; no other priced device is predicted to." + _risk(best)
    other = priced[1]
    assert best.usd_per_month and other.usd_per_month, "priced plans have dollars"
    share = other.usd_per_month / best.usd_per_month - 1
    dearer = f"costs {100 * share:.0f} % more" if share >= 0.005 else "costs the same"
    text += f". The runner-up, {told(other)}, {dearer}: {why(best, other)}."
    low, high = other.usd_low80, best.usd_high80
    if low is not None and (high is None or low < high):
        text += " Their 80 % intervals overlap, so the order is not certain."
    return text + _risk(best)


def _risk(best: Plan) -> str:
    """A warning when the upper end of the interval misses the limit."""
    return "" if best.usd_high80 is not None else f" At the upper end of its interval {best.device} misses the limit."


def why(best: Plan, other: Plan) -> str:
    """What makes the second plan dearer, in words."""
    hour = [(one.usd_per_month or 0.0) / one.devices / prices.HOURS_PER_MONTH for one in (best, other)]
    if other.devices > best.devices:
        count = f"it needs {other.devices:,} devices instead of {best.devices:,}"
        slower = (other.request_s or 0) > (best.request_s or 0)
        return count + (
            f", as one request takes {1e3 * (other.request_s or 0):.3g} ms instead of {1e3 * (best.request_s or 0):.3g} ms"
            if slower
            else f", at ${hour[1]:.3g} instead of ${hour[0]:.3g} an hour each"
        )
    fewer = "as many devices" if other.devices == best.devices else f"{other.devices:,} devices are enough"
    return f"{fewer}, but an hour of one costs ${hour[1]:.3g} instead of ${hour[0]:.3g}"


def told(one: Plan) -> str:
    """`3 × L4 for $1,200 (900 to 1,800) a month`."""
    between = f" ({one.usd_low80:,.0f} to {one.usd_high80:,.0f})" if one.usd_low80 and one.usd_high80 else ""
    return f"{one.devices:,} × {one.device} for ${one.usd_per_month:,.0f}{between} a month"


@dataclass(frozen=True)
class Step:
    """A point of the curve: the cheapest plan for so many users."""

    users: float
    plan: Plan | None
    sentence: str


def curve(
    architecture: Architecture, devices: Mapping[str, Device], need: Need, requests_per_user_day: float = 1.0
) -> list[Step]:
    """The cheapest plan from 10³ to 10⁹ users."""
    steps = []
    for power in range(3, 10):
        traffic = replace(need.traffic, requests_per_day=10.0**power * requests_per_user_day)
        found = best_two(architecture, devices, replace(need, traffic=traffic))
        steps.append(Step(10.0**power, found[0] if found else None, sentence(found, traffic)))
    return steps
