"""Which devices to rent: one plan for each device of the catalogue, the cheapest first.

A plan is the bill (`bill.py`) of a request on a device, or the reason why there is none. The
cheapest two are found without planning every device, by branch and bound: no plan costs less than
the devices that the mean load of the busiest hour keeps fully busy, and a device whose bound is
above the second-best plan is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmrec_core.costmodel.facts import bounds, grids, prices
from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.facts.grids import Place
from llmrec_core.costmodel.facts.power import Power, of_full_load
from llmrec_core.costmodel.facts.prices import HOURS_PER_MONTH, Market, Price
from llmrec_core.costmodel.plan import bill as bills
from llmrec_core.costmodel.plan.bill import Bill, Terms
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.service import LARGEST_BATCH, Service, on_device
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.costmodel.predict.predictor import Coefficients
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t


@dataclass(frozen=True)
class Need:
    """What has to be served, how surely, and on which terms devices are had."""

    traffic: Traffic
    reserve: Reserve = field(default_factory=Reserve)
    retrain_hours: float = 0.0
    """Device hours of retraining in a month."""
    largest_batch: int = LARGEST_BATCH
    scatter: float = 0.0
    """Coefficient of variation of a request's time, as measured here."""
    market: Market = field(default_factory=Market)
    own: Mapping[str, Price] = field(default_factory=dict)
    """Prices of devices the reader owns or has a price of, by name."""
    place: Place = field(default_factory=lambda: grids.find("world"))
    coefficients: Coefficients | None = None
    """Coefficients pulled by own runs (`own_runs.load`); the product's when not given."""

    def __post_init__(self) -> None:
        bounds.check(largest_batch=self.largest_batch, retrain_hours=self.retrain_hours)

    def price(self, device: Device) -> Price | None:
        """What a device costs: the reader's price, else the median offer; None without either."""
        return self.own.get(device.name) or prices.hourly(device, self.market)

    def terms(self, device: Device) -> Terms:
        """Under which a device runs."""
        return Terms(
            self.price(device), power_of(device), self.place, self.reserve, self.retrain_hours
        )


def power_of(device: Device) -> Power | None:
    """The power of a device by its rating; None where the catalogue has none."""
    return of_full_load(device.tdp_w, t("rated power")) if device.tdp_w else None


@dataclass(frozen=True)
class Plan:
    """One device's way to serve the traffic, or the reason why it cannot."""

    device: str
    bill: Bill | None
    reason: str = ""
    """Why there is no bill; empty where there is one."""

    @property
    def possible(self) -> bool:
        """Whether the device serves the traffic within the limit."""
        return self.bill is not None

    @property
    def devices(self) -> int:
        """Devices, spares included; 0 where the plan is impossible."""
        return self.bill.devices if self.bill else 0

    @property
    def usd_per_month(self) -> float | None:
        """Dollars of a month; None where the plan is impossible or has no price."""
        return self.bill.usd_per_month if self.bill else None

    @property
    def note(self) -> str:
        """What there is to know about the plan."""
        if self.bill is None:
            return ""
        missed = self.bill.high is None
        parts = [
            self.bill.service.note,
            t("at the upper end of the interval the limit is missed") if missed else "",
            "" if self.bill.terms.price else t("nobody in the price list rents it out"),
        ]
        return "; ".join(part for part in parts if part)

    def document(self) -> dict[str, Any]:
        """The plan as JSON: base units, None where a figure is unknown."""
        if self.bill is None:
            return {
                "device": self.device,
                "devices": 0,
                "usd_per_month": None,
                "reason": self.reason,
            }
        bill = self.bill
        return {
            "device": self.device,
            "devices": bill.devices,
            "needed": bill.fleet.needed,
            "spare": bill.spare,
            "usd_per_month": bill.usd_per_month,
            "usd_low80": bill.usd_low80,
            "usd_high80": bill.usd_high80,
            "usd_per_million": bill.usd_per_million,
            "kwh_per_month": bill.kwh_per_month,
            "t_co2e_per_month": bill.t_co2e_per_month,
            "p95_s": bill.fleet.p95_s,
            "utilisation": bill.fleet.utilisation,
            "batch": bill.fleet.batch,
            "request_s": bill.service.one_s.value,
            "reason": "",
            "price_source": bill.terms.price.origin if bill.terms.price else "",
            "note": self.note,
        }


def plan_service(name: str, service: Service, traffic: Traffic, terms: Terms) -> Plan:
    """The plan of a device whose service is known; impossible with the reason."""
    try:
        return Plan(name, bills.make(service, traffic, terms))
    except UnsupportedError as error:
        return Plan(name, None, str(error))


def plan_device(request: Request, device: Device, need: Need) -> Plan:
    """The plan of a device by prediction; impossible with the reason."""
    try:
        service = _service(request, device, need)
    except UnsupportedError as error:
        return Plan(device.name, None, str(error))
    return plan_service(device.name, service, need.traffic, need.terms(device))


def _service(request: Request, device: Device, need: Need) -> Service:
    return on_device(
        request,
        device,
        need.largest_batch,
        scatter=need.scatter,
        coefficients=need.coefficients,
    )


def plans(request: Request, devices: Iterable[Device], need: Need) -> list[Plan]:
    """Every device's plan, in the order of `ordered`."""
    return ordered(plan_device(request, device, need) for device in devices)


def ordered(listed: Iterable[Plan]) -> list[Plan]:
    """Possible plans by dollars, then those without a price, then impossible ones."""
    return sorted(
        listed,
        key=lambda plan: (
            not plan.possible,
            plan.usd_per_month is None,
            plan.usd_per_month or 0.0,
            plan.device,
        ),
    )


def best_two(request: Request, devices: Iterable[Device], need: Need) -> list[Plan]:
    """The cheapest plan and the runner-up, as `plans` orders them; shorter where fewer exist."""
    bounded = []
    for device in devices:
        least_usd = _least_usd(request, device, need)
        if least_usd is not None:
            bounded.append((least_usd, device.name, device))
    best: list[Plan] = []
    for least_usd, _, device in sorted(bounded, key=lambda entry: entry[:2]):
        if len(best) == 2 and least_usd > (best[1].usd_per_month or 0.0):
            break
        plan = plan_device(request, device, need)
        if plan.usd_per_month is not None:
            best = ordered([*best, plan])[:2]
    return best


def _least_usd(request: Request, device: Device, need: Need) -> float | None:
    """Dollars a month that no plan on this device stays below; None without a price or a plan."""
    price, traffic = need.price(device), need.traffic
    if price is None:
        return None
    try:
        service = _service(request, device, need)
    except UnsupportedError:
        return None
    if traffic.p95_s is not None and service.alone_p95_s > traffic.p95_s:
        return None
    least = max(1, math.floor(traffic.busiest_per_s / service.per_s))
    return price.usd_per_hour * HOURS_PER_MONTH * least


@dataclass(frozen=True)
class Step:
    """A point of the curve: the cheapest plans for so many users."""

    users: float
    traffic: Traffic
    best: tuple[Plan, ...]
    """The cheapest plan and the runner-up; empty where none is possible and priced."""


def curve(
    best: Callable[[Need], Sequence[Plan]], need: Need, requests_per_user_day: float = 1.0
) -> list[Step]:
    """The cheapest plans from 10³ to 10⁹ users.

    Args:
        best: the cheapest plan and the runner-up for a need.
        need: as for a plan; its requests per day are replaced.
        requests_per_user_day: requests of a user in a day.
    """
    bounds.check(requests_per_user_day=requests_per_user_day)
    steps = []
    for power in range(3, 10):
        users = 10.0**power
        traffic = replace(need.traffic, requests_per_day=users * requests_per_user_day)
        steps.append(Step(users, traffic, tuple(best(replace(need, traffic=traffic)))))
    return steps
