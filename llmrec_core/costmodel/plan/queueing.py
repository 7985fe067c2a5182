"""Waiting behind devices that take requests in batches: an approximation of M/G/c with batching.

Each device, when free, takes up to `most` waiting requests; a batch of k lasts `service(k)`
seconds. Without batching, waits follow from an M/D/c correction of Erlang C (Allen-Cunneen; Gross,
Shortle, Thompson, Harris, Fundamentals of Queueing Theory, ch. 7). With batching, a short
simulation of fixed random numbers is read, since a closed form for bulk service with a general
rule is poor at middling loads. Both are checked against SimPy (tests/costmodel/test_queueing.py).
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

REQUESTS = 4000
"""Requests of the short simulation; the first tenth is left out of its percentiles."""
SEED = 20260101


@dataclass(frozen=True)
class Waiting:
    """What a request meets."""

    p50_s: float
    p95_s: float
    utilisation: float
    """Share of time in which a device works."""
    batch: float
    """Mean requests in a batch."""
    stable: bool


Meets = Callable[[int], Waiting | None]
"""The queue of so many devices when it meets a limit, else None."""


def erlang_c(load: float, servers: int) -> float:
    """Probability of waiting in M/M/c; `load` in erlangs, below `servers`.

    Args:
        load: arrivals a second times seconds of service, erlangs.
        servers: how many answer.
    """
    inverse = 1.0
    for k in range(1, servers + 1):
        inverse = 1.0 + inverse * k / load
    blocked = 1.0 / inverse
    share = load / servers
    return blocked / (1.0 - share + share * blocked)


def waiting(
    rate: float,
    devices: int,
    service: Callable[[float], float],
    most: int = 1,
    scatter: float = 0.0,
) -> Waiting:
    """Latency percentiles of one pool.

    Args:
        rate: requests per second that arrive at random (Poisson).
        devices: how many share one queue.
        service: seconds that a batch of k requests takes, rising in k.
        most: largest batch.
        scatter: coefficient of variation of the service time.
    """
    alone = service(1.0)
    if rate * alone < 1e-9 * devices:  # nobody waits; sums below would lose the service time
        return Waiting(alone, alone * (1 + 1.645 * scatter), rate * alone / devices, 1.0, True)
    if rate >= devices * most / service(float(most)) * 0.999:
        return Waiting(math.inf, math.inf, 1.0, float(most), False)
    if most == 1:
        return _single(rate, devices, service(1.0), scatter)
    return _batched(rate, devices, service, most, scatter)


def _single(rate: float, devices: int, seconds: float, scatter: float) -> Waiting:
    load = rate * seconds
    busy = load / devices
    chance = erlang_c(load, devices)
    # The mean wait of M/M/c is corrected for the scatter of service (Allen-Cunneen) and, for
    # several devices, for constant service.
    mean = chance * seconds / (devices * (1 - busy)) * (1 + scatter**2) / 2
    if scatter < 1:
        mean *= 1 + (1 - scatter**2) * (1 - busy) * (devices - 1) * (
            math.sqrt(4 + 5 * devices) - 2
        ) / (16 * busy * devices)

    def percentile(level: float) -> float:
        tail = 1 - level
        if chance <= tail or mean <= 0:
            return 0.0
        return mean / chance * math.log(chance / tail)

    own_p95_s = max(seconds, seconds * (1 + 1.645 * scatter) * 0.999)
    return Waiting(percentile(0.5) + seconds, percentile(0.95) + own_p95_s, busy, 1.0, True)


def _batched(
    rate: float, devices: int, service: Callable[[float], float], most: int, scatter: float
) -> Waiting:
    """Simulate the embedded chain: exact in its law, with no clock events kept."""
    chooser = random.Random(SEED)
    arrivals: list[float] = []
    now = 0.0
    for _ in range(REQUESTS):
        now += chooser.expovariate(rate)
        arrivals.append(now)
    free = [0.0] * devices
    heapq.heapify(free)
    taken, batches, busy_s = 0, 0, 0.0
    latencies: list[float] = []
    lasting = [service(float(k)) for k in range(1, most + 1)]
    while taken < REQUESTS:
        start = max(heapq.heappop(free), arrivals[taken])
        last = taken
        while last < REQUESTS and last - taken < most and arrivals[last] <= start:
            last += 1
        seconds = lasting[last - taken - 1]
        if scatter > 0:
            seconds *= max(0.05, chooser.gauss(1.0, scatter))
        heapq.heappush(free, start + seconds)
        latencies.extend(start + seconds - arrivals[i] for i in range(taken, last))
        busy_s += seconds
        batches += 1
        taken = last
    kept = sorted(latencies[REQUESTS // 10 :])
    span = max(free) or 1.0
    return Waiting(
        kept[len(kept) // 2],
        kept[int(0.95 * len(kept))],
        min(1.0, busy_s / devices / span),
        REQUESTS / batches,
        True,
    )
