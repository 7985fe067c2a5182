"""Waiting behind c devices that take requests in batches: an approximation of M/G/c with batching.

Each device, when free, takes up to `most` waiting requests; a batch of k lasts `service(k)` seconds. The mean batch
size is the fixed point of "what arrives while one batch is served"; waits follow from an M/D/c correction
of Erlang C. Source: Allen-Cunneen (Gross, Shortle, Thompson, Harris, Fundamentals of Queueing Theory, ch. 7); the
batching step is ours and is checked against a simulation (tests/costmodel/test_queueing.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Waiting:
    """What a request meets."""

    p50_s: float
    p95_s: float
    utilisation: float
    """Share of time a device works."""
    batch: float
    """Mean requests in a batch."""
    stable: bool


def erlang_c(load: float, servers: int) -> float:
    """Probability of waiting in M/M/c; `load` in erlangs, below `servers`."""
    inverse = 1.0
    for k in range(1, servers + 1):
        inverse = 1.0 + inverse * k / load
    blocked = 1.0 / inverse
    share = load / servers
    return blocked / (1.0 - share + share * blocked)


def waiting(
    rate: float, devices: int, service: Callable[[float], float], most: int = 1, scatter: float = 0.0
) -> Waiting:
    """Latency percentiles of one pool.

    Args:
        rate: requests per second that arrive at random (Poisson).
        devices: how many share one queue.
        service: seconds a batch of k requests takes, rising in k.
        most: largest batch.
        scatter: coefficient of variation of the service time.
    """
    capacity = devices * most / service(float(most))
    if rate <= 0:
        alone = service(1.0)
        return Waiting(alone, alone, 0.0, 1.0, True)
    if rate >= capacity * 0.999:
        return Waiting(math.inf, math.inf, 1.0, float(most), False)
    if most == 1:
        return _single(rate, devices, service(1.0), scatter)
    return _batched(rate, devices, service, most, scatter)


def _single(rate: float, devices: int, seconds: float, scatter: float) -> Waiting:
    load = rate * seconds
    busy = load / devices
    chance = erlang_c(load, devices)
    # mean wait of M/M/c, corrected for the scatter of service (Allen-Cunneen), and for constant service at c > 1
    mean = chance * seconds / (devices * (1 - busy)) * (1 + scatter**2) / 2
    if scatter < 1:
        mean *= 1 + (1 - scatter**2) * (1 - busy) * (devices - 1) * (math.sqrt(4 + 5 * devices) - 2) / (
            16 * busy * devices
        )
    spread = 1 + 1.645 * scatter

    def percentile(level: float) -> float:
        tail = 1 - level
        if chance <= tail or mean <= 0:
            return 0.0
        return mean / chance * math.log(chance / tail)

    return Waiting(
        percentile(0.5) + seconds, percentile(0.95) + max(seconds, seconds * spread * 0.999), busy, 1.0, True
    )


def _batched(rate: float, devices: int, service: Callable[[float], float], most: int, scatter: float) -> Waiting:
    """Simulate the embedded chain on random numbers of a fixed seed: short, exact in its law, no clock events kept.

    A closed form for bulk service with a general rule is poor at middling loads, so waits are read from 4,000 requests.
    """
    import heapq
    import random

    chooser = random.Random(20260101)
    arrivals: list[float] = []
    now = 0.0
    n = 4000
    for _ in range(n):
        now += chooser.expovariate(rate)
        arrivals.append(now)
    free = [0.0] * devices
    heapq.heapify(free)
    taken, batches, busy_s = 0, 0, 0.0
    latencies: list[float] = []
    lasting = [service(float(k)) for k in range(1, most + 1)]
    while taken < n:
        start = max(heapq.heappop(free), arrivals[taken])
        last = taken
        while last < n and last - taken < most and arrivals[last] <= start:
            last += 1
        seconds = lasting[last - taken - 1]
        if scatter > 0:
            seconds *= max(0.05, chooser.gauss(1.0, scatter))
        heapq.heappush(free, start + seconds)
        latencies.extend(start + seconds - arrivals[i] for i in range(taken, last))
        busy_s += seconds
        batches += 1
        taken = last
    kept = sorted(latencies[n // 10 :])
    span = max(free) or 1.0
    return Waiting(
        kept[len(kept) // 2],
        kept[int(0.95 * len(kept))],
        min(1.0, busy_s / devices / span),
        n / batches,
        True,
    )
