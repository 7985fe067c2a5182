"""Plans over the catalogue: what fits, what is cheapest, and how it is said."""

import time
from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import devices, model_catalogue, prices
from llmrec_core.costmodel.plan import planner, sentences
from llmrec_core.costmodel.plan.planner import Need
from llmrec_core.costmodel.plan.reserve import Reserve
from llmrec_core.costmodel.plan.traffic import Traffic
from llmrec_core.costmodel.predict import weights
from llmrec_core.costmodel.predict.request import Request

MINILM = model_catalogue.named("minilm-l6-h384")
REQUEST = Request(MINILM, history_tokens=80.0, candidate_tokens=11.5)
TEN_MILLION = Traffic(1e7, 2.5, 0.05)
NEED = Need(TEN_MILLION)


def catalogue(*names):
    return [devices.named(name) for name in names] if names else list(devices.shipped().values())


def test_more_traffic_needs_no_fewer_devices_and_the_sentence_names_the_loser():
    three = catalogue("L4", "T4", "A100-SXM-80GB")
    needs = [Need(Traffic(day, p95_s=0.1)) for day in (1e4, 1e7, 1e9)]
    listed = [planner.plans(REQUEST, three, need) for need in needs]
    for plans, need in zip(listed, needs, strict=True):
        assert "The runner-up, " in sentences.cheapest(plans, need.traffic)
    l4 = [next(plan.devices for plan in plans if plan.device == "L4") for plans in listed]
    assert l4 == sorted(l4) and l4[-1] > l4[0]
    best = listed[-1][0].bill
    assert best.usd_low80 <= best.usd_per_month <= best.usd_high80


def test_a_limit_nobody_meets_is_said_with_the_constraint_that_failed():
    tight = Need(Traffic(1e5, p95_s=1e-6))
    plans = planner.plans(REQUEST, catalogue("L4"), tight)
    assert not plans[0].possible
    assert "over the limit of 0.001 ms" in plans[0].reason
    assert sentences.cheapest(plans, tight.traffic).startswith("L4 cannot serve this: one request")
    assert sentences.cheapest([], tight.traffic).startswith("No device of the catalogue")


@pytest.mark.parametrize("daily", [1e5, 1e7, 1e9])
def test_the_cheapest_two_are_those_of_the_whole_catalogue(daily):
    need = replace(NEED, traffic=replace(TEN_MILLION, requests_per_day=daily))
    assert (
        planner.best_two(REQUEST, catalogue(), need)
        == planner.plans(REQUEST, catalogue(), need)[:2]
    )


def test_the_sentence_names_the_runner_up_and_why_it_loses():
    best = planner.best_two(REQUEST, catalogue(), NEED)
    text = sentences.cheapest(best, TEN_MILLION)
    assert text.startswith(f"{best[0].devices} × {best[0].device} for $")
    assert f"The runner-up, {best[1].devices} × {best[1].device}" in text
    assert "% more: " in text


def test_a_device_of_one_s_own_has_the_price_of_its_owner():
    own = replace(NEED, own={"RTX-5090": prices.typed(0.01)})
    plan = next(p for p in planner.plans(REQUEST, catalogue(), own) if p.device == "RTX-5090")
    assert plan.usd_per_month == pytest.approx(0.01 * 730 * plan.devices)
    assert plan.document()["price_source"] == "typed in"


def test_a_surer_service_takes_more_devices_and_more_energy():
    plain = planner.plan_device(REQUEST, devices.named("L4"), NEED)
    surer = planner.plan_device(
        REQUEST, devices.named("L4"), replace(NEED, reserve=Reserve(0.9999999))
    )
    assert surer.devices > plain.devices
    assert surer.bill.t_co2e_per_month > plain.bill.t_co2e_per_month


def test_the_curve_never_falls_with_more_users():
    few = catalogue("L4", "T4", "H100-SXM-80GB")
    steps = planner.curve(lambda need: planner.best_two(REQUEST, few, need), NEED)
    assert [step.users for step in steps] == [10.0**power for power in range(3, 10)]
    dollars = [step.best[0].usd_per_month for step in steps]
    assert dollars == sorted(dollars)


def test_every_device_of_the_catalogue_has_a_plan_or_a_reason():
    began = time.process_time()
    plans = planner.plans(Request(MINILM, 211, 12, 100), catalogue(), NEED)
    assert time.process_time() - began < 5
    assert {plan.device for plan in plans} == set(devices.shipped())
    for plan in plans:
        if not plan.possible:
            assert plan.reason and plan.devices == 0
            continue
        assert plan.bill.fleet.p95_s <= 0.05
        if plan.usd_per_month is None:
            assert "nobody in the price list rents it out" in plan.note
        else:
            assert plan.bill.usd_low80 <= plan.usd_per_month
            assert plan.bill.usd_high80 is None or plan.usd_per_month <= plan.bill.usd_high80


@pytest.mark.parametrize(
    "name", ["minilm-l6", "bert-large", "smollm2-135m", "qwen2.5-7b", "llama-3-8b", "llama-3-70b"]
)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_no_plan_whose_weights_and_activations_do_not_fit(name, precision):
    shape = model_catalogue.named(name)
    request = Request(shape, 1000, 30, 500, precision=precision)
    need = Need(Traffic(1e4, p95_s=1e4), largest_batch=16)
    for plan in planner.plans(request, catalogue(), need):
        memory_gb = devices.named(plan.device).memory_gb
        if plan.possible and memory_gb:
            assert weights.weight_bytes(shape, precision) / 1e9 < memory_gb
            assert request.memory_gb(devices.named(plan.device), 16.0).high <= memory_gb
        elif "does not fit" in plan.reason:
            assert f"{memory_gb:g} GB" in plan.reason


def test_a_70b_model_fits_no_small_card():
    request = Request(model_catalogue.named("llama-3-70b"))
    need = Need(Traffic(1e4, p95_s=60))
    plans = planner.plans(request, catalogue("T4", "L4", "A100-SXM-80GB"), need)
    assert all("does not fit" in plan.reason for plan in plans)
