"""The planner against a discrete-event simulation, and its answers."""

import random
import time

import pytest

from llmrec_core.costmodel import architecture, counts, devices, planner, prices, query, queueing
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


DEMO = planner.Traffic(1e7, p95_s=0.05, history_tokens=211, candidates=100, candidate_tokens=12)


def test_the_demo_s_best_model_on_every_device_of_the_catalogue():
    began = time.process_time()
    answer = planner.plan(MINILM, DEMO, devices.shipped())
    assert time.process_time() - began < 5
    assert {one.device for one in answer.plans} == set(devices.shipped())
    best, other = answer.plans[0], answer.plans[1]
    assert best.device in answer.sentence and other.device in answer.sentence and "% more" in answer.sentence
    for one in answer.plans:
        assert one.devices == 0 or one.t_co2e_per_month > 0
        if one.usd_per_month is not None:
            assert one.p95_s <= 0.05 and one.usd_low80 <= one.usd_per_month
            assert one.usd_high80 is None or one.usd_per_month <= one.usd_high80
        else:
            assert one.reason


@pytest.mark.parametrize("name", ["minilm-l6", "bert-large", "smollm2-135m", "qwen2.5-7b", "llama-3-8b", "llama-3-70b"])
def test_no_plan_whose_weights_and_activations_do_not_fit(name):
    """The bytes of weights alone, and the upper end of predicted memory, are within the device of every plan."""
    shape = architecture.named(name)
    traffic = planner.Traffic(1e4, p95_s=1e6, history_tokens=1000, candidates=500, candidate_tokens=30)
    for precision in ("fp16", "int8"):
        for one in planner.plan(shape, traffic, devices.shipped(), precision=precision).plans:
            memory = devices.named(one.device).memory_gb
            if one.devices and memory:
                assert counts.weight_bytes(shape, precision) / 1e9 < memory
                need = planner.memory_gb(
                    shape, traffic, precision, query.framework("pytorch"), devices.named(one.device)
                )
                assert need <= memory
            elif "does not fit" in one.reason:
                assert f"{memory:g} GB" in one.reason


def test_a_70b_model_fits_no_small_card():
    small = {name: devices.named(name) for name in ("T4", "L4", "A100-SXM-80GB")}
    answer = planner.plan(architecture.named("llama-3-70b"), planner.Traffic(1e4, p95_s=60), small)
    assert all("does not fit" in one.reason for one in answer.plans)
