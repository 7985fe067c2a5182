"""Capacity planning: traffic and a latency limit → devices, dollars and tonnes a month, the cheapest plan and why.

A request is one user's list. Its service time comes from the predictor (the whole request as one packed pass), waits
from `queueing.py`, prices and carbon from their tables. The interval of the predictor is carried through: the plan is
made three times, at the predicted time and at both ends of the 80 % interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from llmrec_core.costmodel import counts, model, prices, queueing, work
from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.query import Framework, Query, framework
from llmrec_core.costmodel.requests import request_query
from llmrec_core.errors import UnsupportedError, UsageError


@dataclass(frozen=True)
class Traffic:
    """What has to be served."""

    requests_per_day: float
    peak: float = 2.5
    """Busiest hour over the mean of the day."""
    p95_s: float = 0.2
    candidates: int = 100
    history_tokens: float = 160.0
    candidate_tokens: float = 12.0
    mode: str = "shared"
    keep: int = 0
    """Cascade: the model reads the best `keep` of the candidates only; 0 reads all."""
    hit_rate: float = 0.0
    """Share of requests answered from a cache of finished lists."""
    spare: int = 1
    """Devices more than the load needs, for availability."""
    retrain_gpu_hours: float = 0.0
    """Device hours of retraining in a month."""
    most: int = 16
    """Largest batch of requests."""

    def __post_init__(self) -> None:
        counts.check_sizes(
            requests_per_day=self.requests_per_day,
            p95_s=self.p95_s,
            candidates=self.candidates,
            history_tokens=self.history_tokens,
            candidate_tokens=self.candidate_tokens,
            largest_batch=self.most,
        )
        if self.peak < 1:
            raise UsageError(f"peak is {self.peak:g} times the mean; expected at least 1")
        if not 0 <= self.hit_rate < 1:
            raise UsageError(f"cache hit rate is {self.hit_rate:g}; expected a share from 0 up to below 1")
        if self.keep < 0 or self.spare < 0 or self.retrain_gpu_hours < 0:
            raise UsageError("cascade K, spare devices and retraining hours cannot be negative")

    @property
    def rate(self) -> float:
        """Requests per second that reach the model in the busiest hour."""
        return self.requests_per_day / 86400.0 * self.peak * (1 - self.hit_rate)


@dataclass(frozen=True)
class Plan:
    """One device's way to serve the traffic."""

    device: str
    devices: int
    usd_per_month: float | None
    usd_low80: float | None
    usd_high80: float | None
    t_co2e_per_month: float
    p95_s: float | None
    utilisation: float | None
    batch: float | None
    request_s: float | None
    reason: str
    """Why the plan is impossible; empty when it is not."""
    price_source: str = ""
    note: str = ""


def request_seconds(
    architecture: Architecture,
    device: Device,
    traffic: Traffic,
    precision: str,
    runtime: Framework,
    batch: float = 1.0,
    known: model.Coefficients | None = None,
) -> tuple[float, float, float, str]:
    """Seconds of one batch of requests, the ends of their 80 % interval, and the predictor's note.

    The packed pass is asked as a plain pass of as many tokens as give its FLOPs.
    """
    offered = min(traffic.keep or traffic.candidates, traffic.candidates)
    query = request_query(
        architecture,
        device,
        history_tokens=traffic.history_tokens,
        candidates=offered,
        candidate_tokens=traffic.candidate_tokens,
        mode=traffic.mode,
        requests=batch,
        precision=precision,
        runtime=runtime,
    )
    found = model.predict(query, known)
    return found.value / 1e3, found.low80 / 1e3, found.high80 / 1e3, found.note


def memory_gb(
    architecture: Architecture, traffic: Traffic, precision: str, runtime: Framework, device: Device
) -> float:
    """Memory one device needs with the largest batch, upper end of the 80 % interval."""
    offered = min(traffic.keep or traffic.candidates, traffic.candidates)
    tokens = traffic.history_tokens + offered * traffic.candidate_tokens
    query = Query(
        architecture, device, "inference", "memory_gb", precision, float(traffic.most), tokens, runtime=runtime
    )
    return model.predict(query).high80 * (work.GIB if runtime.gib else 1.0)


def plan_device(
    architecture: Architecture,
    device: Device,
    traffic: Traffic,
    *,
    precision: str = "fp16",
    runtime: Framework | None = None,
    price: str = "on-demand",
    usd_per_hour: float | None = None,
    g_per_kwh: float = 475.0,
    known: model.Coefficients | None = None,
) -> Plan:
    """Devices, dollars and tonnes of one device; a device that cannot do it says why.

    `known` are coefficients pulled by own runs (`own_runs.load`); the product's when not given.
    """
    runtime = runtime or framework("pytorch")

    def refused(reason: str) -> Plan:
        return Plan(device.name, 0, None, None, None, 0.0, None, None, None, None, reason)

    if usd_per_hour is not None:
        prices.check_price(usd_per_hour)
    if device.memory_gb:
        need = memory_gb(architecture, traffic, precision, runtime, device)
        if need > device.memory_gb:
            return refused(f"does not fit: needs up to {need:.1f} GB of {device.memory_gb:g} GB")
    try:
        found = [
            request_seconds(architecture, device, traffic, precision, runtime, float(b), known)
            for b in (1, traffic.most)
        ]
    except UnsupportedError as error:
        return refused(str(error))
    one, full = found[0][0], max(found[1][0], found[0][0])
    middle = _devices(one, full, traffic)
    sizes = [middle]
    for alone, batched in ((found[0][1], found[1][1]), (found[0][2], found[1][2])):
        # the ends of the interval need devices in proportion to their service time
        scaled = math.ceil(max(middle[0] - traffic.spare, 1) * batched / full) + traffic.spare
        sizes.append((scaled, middle[1] if alone <= traffic.p95_s else None))
    count, state = sizes[0]
    if state is None:
        return refused(
            f"one request alone takes {1000 * found[0][0]:.0f} ms, over the limit of {1000 * traffic.p95_s:.0f} ms"
        )
    offer = prices.hourly(device, price)
    hour = usd_per_hour if usd_per_hour is not None else offer.usd_per_hour if offer else None
    source = "typed" if usd_per_hour is not None else f"{offer.provider}, {offer.date}, {offer.kind}" if offer else ""

    def dollars(devices: int) -> float | None:
        if hour is None:
            return None
        return hour * (devices * prices.HOURS_PER_MONTH + traffic.retrain_gpu_hours)

    busy = state.utilisation / traffic.peak
    carbon = prices.tonnes_per_month(device.tdp_w or 300.0, count, busy, g_per_kwh)
    high = dollars(sizes[2][0]) if sizes[2][1] is not None else None
    note = found[0][3] + (
        "" if high is not None or hour is None else "; at the upper end of the interval the limit is missed"
    )
    return Plan(
        device.name,
        count,
        dollars(count),
        dollars(sizes[1][0]) if sizes[1][1] is not None else None,
        high,
        carbon,
        state.p95_s,
        state.utilisation,
        state.batch,
        found[0][0],
        "" if hour is not None else "nobody in the price table rents it out",
        source,
        note.strip("; "),
    )


def _devices(one: float, full: float, traffic: Traffic) -> tuple[int, queueing.Waiting | None]:
    """The fewest devices that meet the limit, spare included, and what requests meet with them."""
    most = traffic.most
    slope = (full - one) / max(most - 1, 1)

    def service(k: float) -> float:
        return one + slope * (k - 1)

    if one > traffic.p95_s:
        return 0, None
    low = max(1, math.floor(traffic.rate * service(float(most)) / most))
    # above this many devices the queue is the same one, cut in equal parts: pools of 64 are planned and multiplied
    pool = 64

    def meets(devices: int) -> queueing.Waiting | None:
        parts = max(1, math.ceil(devices / pool))
        each = max(1, devices // parts)
        state = queueing.waiting(traffic.rate / parts, each, service, most)
        return state if state.stable and state.p95_s <= traffic.p95_s else None

    high = max(low, 1)
    state = meets(high)
    while state is None and high < 10**8:
        low, high = high, math.ceil(high * 1.5) + (high < 3)
        state = meets(high)
    while state is not None and high - low > max(1, high // 200):
        middle = (low + high) // 2
        found = meets(middle)
        if found is None:
            low = middle
        else:
            high, state = middle, found
    return high + traffic.spare, state


@dataclass(frozen=True)
class Answer:
    """Every device's plan, the cheapest first, and a sentence."""

    plans: tuple[Plan, ...]
    sentence: str

    def document(self) -> dict[str, Any]:
        """As one JSON document."""
        return {"sentence": self.sentence, "plans": [asdict(one) for one in self.plans]}


def plan(
    architecture: Architecture,
    traffic: Traffic,
    devices: Mapping[str, Device],
    **options: Any,
) -> Answer:
    """Plans on every device; possible ones by dollars, then those without a price, then impossible ones."""
    found = [plan_device(architecture, device, traffic, **options) for device in devices.values()]
    found.sort(key=lambda one: (one.devices == 0, one.usd_per_month is None, one.usd_per_month or 0.0, one.device))
    priced = [one for one in found if one.usd_per_month is not None]
    if not priced:
        why = next((one.reason for one in found if one.reason), "no device was offered")
        return Answer(tuple(found), f"No device in the catalogue is predicted to serve this: {why}.")
    best = priced[0]
    sentence = f"{_told(best)} is the cheapest plan predicted to meet {1000 * traffic.p95_s:.0f} ms at p95"
    if len(priced) > 1:
        other = priced[1]
        assert best.usd_per_month is not None and other.usd_per_month is not None, "priced plans have dollars"
        share = other.usd_per_month / best.usd_per_month - 1
        more = (
            f"needs {other.devices} instead of {best.devices}" if other.devices > best.devices else "costs more an hour"
        )
        sentence += f"; the runner-up, {_told(other)}, costs {100 * share:.0f} % more: it {more}"
        low, high = other.usd_low80, best.usd_high80
        if low is not None and (high is None or low < high):
            sentence += ". Their 80 % intervals overlap, so the order is not certain"
    return Answer(tuple(found), sentence + ".")


def _told(one: Plan) -> str:
    between = f" ({one.usd_low80:,.0f} to {one.usd_high80:,.0f})" if one.usd_low80 and one.usd_high80 else ""
    return f"{one.devices} × {one.device} for ${one.usd_per_month:,.0f}{between} a month"


def curve(
    architecture: Architecture,
    traffic: Traffic,
    devices: Mapping[str, Device],
    requests_per_user_day: float = 1.0,
    **options: Any,
) -> list[dict[str, Any]]:
    """The cheapest plan from 10³ to 10⁹ users."""
    points = []
    for power in range(3, 10):
        users = 10.0**power
        answer = plan(
            architecture, replace(traffic, requests_per_day=users * requests_per_user_day), devices, **options
        )
        best = next((one for one in answer.plans if one.usd_per_month is not None), None)
        points.append({"users": users, "plan": asdict(best) if best else None, "sentence": answer.sentence})
    return points
