"""Training jobs before they start: time, dollars, and what would fit."""

import pytest

from llmrec_core.costmodel.facts import devices, model_catalogue
from llmrec_core.costmodel.plan import jobs
from llmrec_core.errors import UsageError

MINILM = model_catalogue.named("minilm-l6-h384")
LLAMA = model_catalogue.named("llama-3.1-8b")


def test_a_job_takes_twice_as_long_with_twice_the_steps():
    one = jobs.cost(MINILM, devices.named("L4"), jobs.Job(steps=100))
    two = jobs.cost(MINILM, devices.named("L4"), jobs.Job(steps=200))
    assert two.minutes.value == pytest.approx(2 * one.minutes.value)
    assert two.usd.value == pytest.approx(2 * one.usd.value)
    assert two.minutes.low < two.minutes.value < two.minutes.high
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
    assert lora.memory_gb.high <= card.memory_gb


def test_the_sentence_of_a_job_names_the_cheapest_and_the_fastest():
    found = jobs.costs(MINILM, devices.shipped().values(), jobs.Job())
    assert "is predicted to be the cheapest: $" in jobs.sentence(found)
    huge = jobs.costs(LLAMA, [devices.named("T4")], jobs.Job(batch=64, tokens=4096))
    assert jobs.sentence(huge).startswith(
        "No device in the catalogue can run this job: does not fit"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"batch": -1},
        {"batch": float("inf")},
        {"tokens": 0},
        {"tokens": float("nan")},
        {"accumulate": 0},
        {"method": "magic"},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match="expected"):
        jobs.Job(**wrong)
