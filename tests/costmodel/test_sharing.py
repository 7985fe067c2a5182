"""Devices that share a model: which numbers work, what each holds, and how the time follows."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import devices, model_catalogue
from llmrec_core.costmodel.facts.config_reading import from_config
from llmrec_core.costmodel.predict import predictor, query, sharing
from llmrec_core.costmodel.predict.memory import on_each_gb
from llmrec_core.errors import UsageError
from tests.costmodel.public_configs import PUBLIC

LLAMA = model_catalogue.named("llama-3.1-8b")  # 32 heads, 8 key heads, 32 layers
SEVENTY = model_catalogue.named("llama-3.1-70b")  # 64 heads, 8 key heads
MIXTURE = from_config(next(m for m in PUBLIC if m.name == "qwen3-30b-a3b").config)  # 128 experts


def ask(model=LLAMA, device="A100", **changes):
    base = query.Query(
        model,
        devices.named(device),
        "decode",
        "latency_ms",
        "fp16",
        1.0,
        2048.0,
        1.0,
        runtime=query.framework("vllm"),
    )
    return replace(base, **changes)


def first(model, mode, count=6):
    return [n for n, _ in zip(sharing.working(model, mode), range(count), strict=False)]


def test_tensor_parallel_divides_heads_key_heads_and_experts():
    assert first(LLAMA, "tensor") == [1, 2, 4, 8, 16, 32]  # beyond 8 the key heads are copied
    assert first(model_catalogue.named("qwen2.5-7b"), "tensor") == [1, 2, 4, 28]  # 28 heads, 4
    of_sixty = replace(LLAMA, experts=60, active_experts=4)
    assert first(of_sixty, "tensor") == [1, 2, 4]


def test_pipelines_go_by_layers_and_experts_by_experts():
    assert first(LLAMA, "pipeline", 40) == list(range(1, 33))
    assert first(MIXTURE, "expert") == [1, 2, 4, 8, 16, 32]
    assert "has no experts" in sharing.obstacle(LLAMA, "expert", 2)
    assert first(LLAMA, "replicas", 4) == [1, 2, 3, 4]


@pytest.mark.parametrize("n", [3, 5, 6, 7])
def test_a_number_that_does_not_divide_is_refused_with_the_next_that_does(n):
    with pytest.raises(UsageError) as refused:
        ask(n_devices=n)
    said = str(refused.value)
    assert f"{n} devices cannot share llama-3.1-8b in mode tensor: its 32 heads" in said
    assert f"{4 if n == 3 else 8} devices can, or share by --sharing pipeline" in said


@pytest.mark.parametrize(
    ("model", "device", "least"), [(SEVENTY, "A100-40GB", 8), ("qwen2.5-72b", "A100", 4)]
)
def test_what_would_hold_a_model_divides_its_heads(model, device, least):
    model = model_catalogue.named(model) if isinstance(model, str) else model
    note = predictor.predict(ask(model, device, batch=8.0, input_tokens=4096.0)).note
    assert f"{least} such devices would hold it (tensor parallel" in note
    assert (
        on_each_gb(ask(model, device, batch=8.0, input_tokens=4096.0), least)
        < 0.9 * devices.named(device).memory_gb
    )


def test_the_mode_is_named_and_the_time_follows_it():
    alone = predictor.predict(ask())
    tensor, pipeline, replicas = (
        predictor.predict(ask(n_devices=4, sharing=mode))
        for mode in ("tensor", "pipeline", "replicas")
    )
    assert "4 devices, tensor parallel: every matrix is cut; about 4.1 GB on each" in tensor.note
    assert "4 devices, pipeline: each device has some of the layers" in pipeline.note
    assert "4 devices, replicas: each device has the whole model; about 16.4 GB" in replicas.note
    # a token passes every layer of a pipeline, so nothing is gained but three hops are lost
    assert alone.value < pipeline.value < 1.5 * alone.value
    assert replicas.value == alone.value
    prompt, cut = ask(task="prefill"), ask(task="prefill", n_devices=4, sharing="tensor")
    assert predictor.predict(cut).value < 0.6 * predictor.predict(prompt).value
    rates = {
        mode: predictor.predict(ask(n_devices=4, sharing=mode, metric="tokens_s", batch=8.0)).value
        for mode in ("pipeline", "replicas")
    }
    one = predictor.predict(ask(metric="tokens_s", batch=8.0)).value
    assert rates["replicas"] == pytest.approx(4 * one)
    assert one < rates["pipeline"] < rates["replicas"]


def test_three_eager_devices_take_the_time_of_one_and_say_why():
    eager = query.framework("pytorch")
    alone = predictor.predict(ask(runtime=eager, task="prefill"))
    three = predictor.predict(ask(runtime=eager, task="prefill", n_devices=3))
    assert three.value == pytest.approx(alone.value)
    assert (
        "3 devices, pipeline: each device has some of the layers, one after another" in three.note
    )


def test_experts_are_spread_and_the_rest_is_copied():
    alone = ask(MIXTURE)
    four = replace(alone, n_devices=4, sharing="expert")
    each, whole = on_each_gb(four, 4), on_each_gb(alone, 1)
    routed = 2 * 48 * 128 * 3 * 2048 * 768 / 1e9
    assert whole - each == pytest.approx(0.75 * routed, rel=0.02)
    assert "no model shared in this way was measured" in predictor.predict(four).note
    busy = [replace(way, batch=256.0) for way in (alone, four)]
    assert predictor.predict(busy[1]).value < predictor.predict(busy[0]).value


def test_an_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="sharing 'magic'; expected one of tensor, pipeline"):
        ask(n_devices=2, sharing="magic")
