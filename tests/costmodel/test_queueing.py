"""Waits behind devices that take batches, against a discrete-event simulation."""

import random

import pytest

from llmrec_core.costmodel.plan import queueing


def simulated(rate, count, service, most, seed, n=30000):
    """p95 of a simpy M/G/c queue whose servers take up to `most` waiting requests."""
    import simpy

    env, chooser = simpy.Environment(), random.Random(seed)
    store, latencies = simpy.Store(env), []

    def source():
        for _ in range(n):
            yield env.timeout(chooser.expovariate(rate))
            store.put(env.now)

    def server():
        while True:
            group = [(yield store.get())]
            while store.items and len(group) < most:
                group.append((yield store.get()))
            yield env.timeout(service(len(group)))
            latencies.extend(env.now - begun for begun in group)

    env.process(source())
    for _ in range(count):
        env.process(server())
    env.run(until=n / rate)
    kept = sorted(latencies[len(latencies) // 10 :])
    return kept[int(0.95 * len(kept))]


LOADS = [
    (c, most, load) for c in (1, 2, 5) for most in (1, 8) for load in (0.2, 0.4, 0.6, 0.7, 0.8)
]


@pytest.mark.parametrize(("count", "most", "load"), LOADS)
def test_p95_is_the_simulation_s(count, most, load):
    def service(k):
        return 0.010 + 0.004 * (k - 1)

    rate = load * count * most / service(most)
    expected = simulated(rate, count, service, most, 7, 12000)
    assert queueing.waiting(rate, count, service, most).p95_s == pytest.approx(expected, rel=0.10)


def test_more_than_it_can_take_is_unstable():
    assert not queueing.waiting(200.0, 1, lambda k: 0.01 * k, 1).stable


@pytest.mark.parametrize("rate", [0.0, 1e-300, 1e-12])
@pytest.mark.parametrize("most", [1, 8])
def test_hardly_any_traffic_waits_for_nobody(rate, most):
    state = queueing.waiting(rate, 64, lambda k: 0.01, most)
    assert state.stable and state.p95_s == pytest.approx(0.01)
