"""Spares, the cheapest plan by branch and bound, and training jobs that fit or say what would."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel import architecture, capacity, devices, jobs, planner
from llmrec_core.errors import UsageError

MINILM = architecture.named("minilm-l6-h384")
LLAMA = architecture.named("llama-3.1-8b")
TEN_MILLION = planner.Traffic(1e7, 2.5, 0.05, 100, 80.0, 11.5)
NEED = capacity.Need(TEN_MILLION)


@pytest.mark.parametrize(
    ("needed", "target", "spares"),
    [
        (1, 0.98, 0),  # one device is up 99 % of the time
        (1, 0.999, 1),  # both of two are down in 0.01² = 0.0001
        (2, 0.999, 1),  # of three: all up 0.9703 + one down 0.0294 = 0.9997
        (2, 0.9999, 2),  # 0.9997 is not enough; of four at most two down: 0.999996
    ],
)
def test_spares_follow_the_binomial(needed, target, spares):
    assert capacity.spares(needed, target, 0.99) == spares


def test_spares_of_very_many_devices_meet_the_exact_sum():
    exact, normal = capacity.spares(capacity.EXACT, 0.999), capacity.spares(capacity.EXACT + 1, 0.999)
    assert normal == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(("target", "up"), [(1.0, 0.99), (0.0, 0.99), (0.9, 1.0), (0.9, 0.0)])
def test_an_availability_that_cannot_be_is_refused(target, up):
    with pytest.raises(UsageError, match="expected above 0 %"):
        capacity.spares(1, target, up)


@pytest.mark.parametrize("daily", [1e5, 1e7, 1e9])
def test_the_cheapest_two_are_those_of_the_whole_catalogue(daily):
    need = replace(NEED, traffic=replace(TEN_MILLION, requests_per_day=daily))
    assert capacity.best_two(MINILM, devices.shipped(), need) == capacity.plans(MINILM, devices.shipped(), need)[:2]


def test_the_sentence_names_the_runner_up_and_why_it_loses():
    found = capacity.best_two(MINILM, devices.shipped(), NEED)
    text = capacity.sentence(found, TEN_MILLION)
    assert text.startswith(f"{found[0].devices} × {found[0].device} for $")
    assert f"The runner-up, {found[1].devices} × {found[1].device}" in text
    assert "% more: " in text
    tight = replace(TEN_MILLION, p95_s=1e-6)
    nobody = capacity.best_two(MINILM, devices.shipped(), replace(NEED, traffic=tight))
    assert capacity.sentence(nobody, tight).startswith("No device in the catalogue")


def test_an_own_device_costs_what_it_was_bought_for():
    own = capacity.Need(TEN_MILLION, own={"RTX-5090": 0.01})
    found = {one.device: one for one in capacity.plans(MINILM, devices.shipped(), own)}
    plan = found["RTX-5090"]
    assert plan.usd_per_month == pytest.approx(0.01 * 730 * plan.devices)
    assert plan.price_source == "own, purchase and electricity"


def test_retraining_and_availability_are_paid_for():
    only = {"L4": devices.named("L4")}
    plain = capacity.plans(MINILM, only, NEED)[0]
    trained = capacity.plans(MINILM, only, replace(NEED, retrain_hours=10.0))[0]
    hour = plain.usd_per_month / plain.devices / 730
    assert trained.usd_per_month - plain.usd_per_month == pytest.approx(10 * hour)
    surer = capacity.plans(MINILM, only, replace(NEED, availability=0.9999999))[0]
    assert surer.devices > plain.devices
    assert surer.t_co2e_per_month > plain.t_co2e_per_month


def test_the_curve_never_falls_with_more_users():
    few = {name: devices.named(name) for name in ("L4", "T4", "H100-SXM-80GB")}
    steps = capacity.curve(MINILM, few, NEED)
    assert [step.users for step in steps] == [10.0**power for power in range(3, 10)]
    dollars = [step.plan.usd_per_month for step in steps]
    assert dollars == sorted(dollars)


# ── training jobs ────────────────────────────────────────────────────────────────────────────────


def test_a_job_takes_twice_as_long_with_twice_the_steps():
    one = jobs.cost(MINILM, devices.named("L4"), jobs.Job(steps=100))
    two = jobs.cost(MINILM, devices.named("L4"), jobs.Job(steps=200))
    assert two.minutes == pytest.approx(2 * one.minutes)
    assert two.usd == pytest.approx(2 * one.usd)
    assert two.minutes_low80 < two.minutes < two.minutes_high80
    assert two.precision == "bf16-amp"
    assert jobs.cost(MINILM, devices.named("V100-SXM-16GB"), jobs.Job()).precision == "fp16-amp"


def test_what_does_not_fit_names_what_would_and_that_fits():
    card = devices.named("A100-SXM-80GB")
    full = jobs.cost(LLAMA, card, jobs.Job(batch=4, tokens=1024))
    assert full.minutes is None
    assert full.reason.startswith("does not fit: needs up to ")
    assert full.reason.endswith("fits with LoRA")
    lora = jobs.cost(LLAMA, card, jobs.Job(batch=4, tokens=1024, method="lora"))
    assert not lora.reason
    assert lora.memory_high80_gb <= card.memory_gb


def test_the_sentence_of_a_job_names_the_cheapest_and_the_fastest():
    found = jobs.costs(MINILM, devices.shipped().values(), jobs.Job())
    assert "is predicted to be the cheapest: $" in jobs.sentence(found)
    huge = jobs.costs(LLAMA, [devices.named("T4")], jobs.Job(batch=64, tokens=4096))
    assert jobs.sentence(huge).startswith("No device in the catalogue can run this job: does not fit")


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": -1}, {"tokens": 0}, {"accumulate": 0}, {"method": "magic"}])
def test_a_job_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match="expected"):
        jobs.Job(**wrong)
