"""The planner against a discrete-event simulation, and its answers."""

import random

import pytest

from llmrec_core.costmodel import architecture, devices, planner, prices, queueing
from llmrec_core.errors import UsageError


def simulated(rate, count, service, most, seed, n=30000):
    """p95 of a simpy M/G/c queue whose servers take up to `most` waiting requests."""
    simpy = pytest.importorskip("simpy")
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


LOADS = [(c, most, load) for c in (1, 2, 5) for most in (1, 8) for load in (0.2, 0.4, 0.6, 0.7, 0.8)]


@pytest.mark.parametrize(("count", "most", "load"), LOADS)
def test_p95_is_the_simulation_s(count, most, load):
    def service(k):
        return 0.010 + 0.004 * (k - 1)

    rate = load * count * most / service(most)
    n = 12000
    expected = simulated(rate, count, service, most, 7, n)
    assert queueing.waiting(rate, count, service, most).p95_s == pytest.approx(expected, rel=0.10)


def test_more_than_it_can_take_is_unstable():
    assert not queueing.waiting(200.0, 1, lambda k: 0.01 * k, 1).stable


MINILM = architecture.named("minilm-l6-h384")


def test_more_traffic_needs_no_fewer_devices_and_the_sentence_names_the_loser():
    two = {name: devices.named(name) for name in ("L4", "T4", "A100-SXM-80GB")}
    plans = [planner.plan(MINILM, planner.Traffic(day, p95_s=0.1), two) for day in (1e4, 1e7, 1e9)]
    assert all("runner-up" in one.sentence for one in plans)
    counts = [next(p.devices for p in one.plans if p.device == "L4") for one in plans]
    assert counts == sorted(counts) and counts[-1] > counts[0]
    best = plans[-1].plans[0]
    assert best.usd_low80 <= best.usd_per_month <= best.usd_high80


def test_a_limit_nobody_meets_is_said():
    answer = planner.plan(MINILM, planner.Traffic(1e5, p95_s=1e-6), {"L4": devices.named("L4")})
    assert "No device" in answer.sentence and answer.plans[0].reason


@pytest.mark.parametrize("changes", [{"peak": 0.5}, {"hit_rate": 1.0}, {"p95_s": 0.0}, {"keep": -1}])
def test_nonsense_traffic_is_refused(changes):
    with pytest.raises(UsageError):
        planner.Traffic(**({"requests_per_day": 1e5} | changes))


def test_prices():
    assert prices.hourly(devices.named("L4")).usd_per_hour > 0
    assert prices.hourly(devices.named("L4"), "spot").usd_per_hour < prices.hourly(devices.named("L4")).usd_per_hour
    assert prices.intensity("Sweden") < prices.intensity("world")
    for wrong in (0.0, -1.0):
        with pytest.raises(UsageError):
            prices.check_price(wrong)
    with pytest.raises(UsageError, match="near names"):
        prices.intensity("Atlantis")
    assert prices.owned(10000, 3, 300).usd_per_hour == pytest.approx(0.4387, rel=0.01)
