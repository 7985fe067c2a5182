"""The one bill: what a month of traffic takes in whole devices, dollars, kilowatt-hours and CO2e.

Every front that names a price asks here: Start, Decide, Plan, the report, the command line and
every caption. A bill needs three things: how long a device takes (`service.py`, measured for any
family or predicted for a language model), what has to be served (`traffic.py`), and the terms
(price, power, grid, reserve). It rents whole devices: the fewest whose queue meets the latency
limit in the busiest hour, and the spares of the reserve rule (`reserve.py`).

The interval of the service time is carried through: devices are needed in proportion to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from llmrec_core.costmodel.facts import bounds
from llmrec_core.costmodel.facts.grids import Place
from llmrec_core.costmodel.facts.power import Power
from llmrec_core.costmodel.facts.prices import HOURS_PER_MONTH, Price
from llmrec_core.costmodel.plan import queueing
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.service import Service
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t

MOST_DEVICES = 10**8
FULL = 0.9
"""Share of the busiest hour in which a device works at most where no latency limit is stated."""
POOL = 64
"""Devices behind one queue; a larger fleet is the same queue several times."""


@dataclass(frozen=True)
class Terms:
    """Under which a device runs; what is not known is None and leaves its figures unknown."""

    price: Price | None
    power: Power | None
    place: Place | None
    reserve: Reserve = field(default_factory=Reserve)
    retrain_hours: float = 0.0
    """Device hours of retraining in a month, rented besides and at full power."""

    def __post_init__(self) -> None:
        bounds.check(retrain_hours=self.retrain_hours)


@dataclass(frozen=True)
class Fleet:
    """Devices that carry the load of the busiest hour, and what requests meet with them."""

    needed: int
    """Without spares."""
    p95_s: float
    utilisation: float
    """Share of the busiest hour in which a needed device works."""
    batch: float
    """Mean requests in a batch in the busiest hour."""


@dataclass(frozen=True)
class Bill:
    """A month of the traffic; dollars, energy and CO2e are None where their terms are unknown."""

    traffic: Traffic
    service: Service
    terms: Terms
    fleet: Fleet
    spare: int
    low: int
    """Devices, spares included, at the lower end of the 80 % interval of the service time."""
    high: int | None
    """Devices at the upper end; None where a single request misses the limit there."""

    @property
    def devices(self) -> int:
        """Devices that are rented, spares included."""
        return self.fleet.needed + self.spare

    @property
    def kwh_per_month(self) -> float | None:
        """Energy of a month, building and host included."""
        return self._kwh(self.devices, 1.0)

    def _kwh(self, devices: int, stretch: float) -> float | None:
        """Energy with so many devices and a service time `stretch` times as long."""
        power = self.terms.power
        if power is None:
            return None
        busy = self.fleet.needed * self.fleet.utilisation / self.traffic.peak * stretch
        working_hours = min(busy, devices) * HOURS_PER_MONTH
        retraining = self.terms.retrain_hours
        return power.kwh(devices * HOURS_PER_MONTH + retraining, working_hours + retraining)

    def _usd(self, devices: int, stretch: float) -> float | None:
        price, kwh = self.terms.price, self._kwh(devices, stretch)
        if price is None or (price.usd_per_kwh and kwh is None):
            return None
        hours = devices * HOURS_PER_MONTH + self.terms.retrain_hours
        return price.usd_per_hour * hours + price.usd_per_kwh * (kwh or 0.0)

    def _stretch(self, end: float) -> float:
        return end / self.service.full_s.value

    @property
    def usd_per_month(self) -> float | None:
        """Dollars of a month; None without a price."""
        return self._usd(self.devices, 1.0)

    @property
    def usd_low80(self) -> float | None:
        """Dollars at the lower end of the 80 % interval."""
        return self._usd(self.low, self._stretch(self.service.full_s.low))

    @property
    def usd_high80(self) -> float | None:
        """Dollars at the upper end; None where the limit is missed there, or without a price."""
        if self.high is None:
            return None
        return self._usd(self.high, self._stretch(self.service.full_s.high))

    @property
    def usd_per_million(self) -> float | None:
        """Dollars of a million requests of this traffic."""
        month = self.usd_per_month
        return None if month is None else month / self.traffic.requests_per_month * 1e6

    def _tonnes(self, kwh: float | None) -> float | None:
        place = self.terms.place
        return None if kwh is None or place is None else kwh * place.g_per_kwh / 1e6

    @property
    def t_co2e_per_month(self) -> float | None:
        """Tonnes of CO2e of a month; None without power or grid."""
        return self._tonnes(self.kwh_per_month)

    @property
    def t_co2e_low80(self) -> float | None:
        """Tonnes at the lower end of the 80 % interval."""
        return self._tonnes(self._kwh(self.low, self._stretch(self.service.full_s.low)))

    @property
    def t_co2e_high80(self) -> float | None:
        """Tonnes at the upper end; None where the limit is missed there."""
        if self.high is None:
            return None
        return self._tonnes(self._kwh(self.high, self._stretch(self.service.full_s.high)))


def make(service: Service, traffic: Traffic, terms: Terms) -> Bill:
    """The bill of a month.

    Raises:
        UnsupportedError: when no number of devices meets the limit, with the reason.
    """
    fleet = fleet_for(
        service.one_s.value,
        service.full_s.value,
        service.largest_batch,
        service.scatter,
        traffic.busiest_per_s,
        traffic.p95_s,
    )
    spares = terms.reserve.spares
    ends: list[int | None] = []
    for alone, full in (
        (service.one_s.low, service.full_s.low),
        (service.one_s.high, service.full_s.high),
    ):
        missed = traffic.p95_s is not None and alone * (1 + 1.645 * service.scatter) > traffic.p95_s
        needed = math.ceil(fleet.needed * full / service.full_s.value - 1e-9)
        ends.append(None if missed else max(1, needed) + spares(max(1, needed)))
    spare = spares(fleet.needed)
    return Bill(traffic, service, terms, fleet, spare, ends[0] or 1 + spare, ends[1])


@lru_cache(maxsize=8192)
def fleet_for(
    one_s: float,
    full_s: float,
    largest_batch: int,
    scatter: float,
    per_s: float,
    p95_s: float | None,
) -> Fleet:
    """The fewest devices that meet the limit with `per_s` requests per second.

    Args:
        one_s: seconds of one request.
        full_s: seconds of a full batch.
        largest_batch: requests in a full batch.
        scatter: coefficient of variation of the times.
        per_s: requests per second that arrive at random.
        p95_s: latency that 95 % of requests meet; None asks for no device busier than `FULL`.

    Raises:
        UnsupportedError: when one request alone takes too long, or too many devices are needed.
    """
    alone_s = one_s * (1 + 1.645 * scatter)
    if p95_s is not None and alone_s > p95_s:
        raise UnsupportedError(
            t(
                "one request alone takes {alone:.3g} ms, over the limit of {limit:.3g} ms",
                alone=1000 * alone_s,
                limit=1000 * p95_s,
            )
        )
    slope = (full_s - one_s) / max(largest_batch - 1, 1)

    def meets(devices: int) -> queueing.Waiting | None:
        pools = max(1, math.ceil(devices / POOL))
        state = queueing.waiting(
            per_s / pools,
            max(1, devices // pools),
            lambda requests: one_s + slope * (requests - 1),
            largest_batch,
            scatter,
        )
        if p95_s is None:
            return state if state.stable and state.utilisation <= FULL else None
        return state if state.stable and state.p95_s <= p95_s else None

    least = per_s * full_s / largest_batch
    if least > MOST_DEVICES:
        raise _too_many(per_s)
    needed, state = _fewest(max(1, math.floor(least)), meets)
    if state is None:
        raise _too_many(per_s)
    return Fleet(needed, state.p95_s, state.utilisation, state.batch)


def _too_many(per_s: float) -> UnsupportedError:
    return UnsupportedError(
        t(
            "{per_s:,.0f} requests a second in the busiest hour need more than {most:,} devices",
            per_s=per_s,
            most=MOST_DEVICES,
        )
    )


def _fewest(least: int, meets: queueing.Meets) -> tuple[int, queueing.Waiting | None]:
    """The fewest devices from `least` on that meet the limit, to half a percent, with the queue."""
    low = high = least
    state = meets(high)
    while state is None and high < MOST_DEVICES:
        low, high = high, math.ceil(high * 1.5) + (high < 3)
        state = meets(high)
    while state is not None and high - low > max(1, high // 200):
        middle = (low + high) // 2
        fewer = meets(middle)
        if fewer is None:
            low = middle
        else:
            high, state = middle, fewer
    return high, state
