"""Formulas against published parameter counts, hand counts, and what must be refused."""

import dataclasses
import json

import pytest

from llmrec_core.costmodel.facts import config_reading, devices, model_catalogue
from llmrec_core.costmodel.predict import counts, weights
from llmrec_core.errors import DataError, UnsupportedError, UsageError
from llmrec_core.profiling import counts as packed


@pytest.mark.parametrize("name", sorted(set(model_catalogue.catalogue()) - {"albert-base"}))
def test_parameters_are_the_published_ones(name):
    model = model_catalogue.catalogue()[name]
    assert weights.parameters(model).total == pytest.approx(model.published_params, rel=0.01)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b"),
        ("sentence-transformers/all-MiniLM-L6-v2", "minilm-l6-h384"),
        ("bert-base-uncased", "bert-base"),
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b"),
    ],
)
def test_names_as_people_write_them(written, name):
    assert model_catalogue.named(written).name == name


def test_an_unknown_name_offers_near_ones():
    with pytest.raises(UsageError, match="bert-bas"):
        model_catalogue.named("bert-bass-x")


def test_config_json(tmp_path):
    config = {
        "model_type": "llama",
        "num_hidden_layers": 30,
        "hidden_size": 576,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
        "rope_theta": 10000,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert weights.parameters(model_catalogue.load(str(tmp_path))).total == pytest.approx(
        134.5e6, rel=0.001
    )
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(DataError):
        model_catalogue.load(str(tmp_path))


def test_cache_and_flops_by_hand():
    llama = model_catalogue.named("llama-2-7b")
    assert counts.kv_cache_bytes(llama, 1) == 2 * 32 * 4096 * 2
    assert (
        counts.kv_cache_bytes(model_catalogue.named("llama-3-8b"), 1) == 2 * 32 * 1024 * 2
    )  # 8 of 32 heads
    mixtral = weights.parameters(model_catalogue.named("mixtral-8x7b"))
    assert mixtral.active == pytest.approx(12.9e9, rel=0.01)
    bert = model_catalogue.named("bert-base-12l-768d")
    assert counts.linear_flops(bert, 1, 1) == 2 * 12 * 12 * 768 * 768


def test_packed_requests_are_the_profiler_s_formula():
    model = model_catalogue.named("minilm-l6-h384")
    shape = packed.Shape(6, 384, 1536, 12, 12, 32, False, False)
    assert counts.request_flops(model, "shared", 160, 50, 12) == packed.shared_flops(
        shape, 160, 50, 12
    )
    assert counts.request_flops(model, "full", 160, 50, 12) == packed.full_flops(shape, 160, 50, 12)
    with pytest.raises(UsageError, match="per_item"):
        counts.request_flops(model, "other", 160, 50, 12)


def test_devices():
    assert devices.named("nvidia A100").name == "A100-SXM-80GB"
    assert devices.named("Xeon-8480+:14").fp32_tflops == pytest.approx(
        devices.named("Xeon-8480+").fp32_tflops / 4
    )
    with pytest.raises(UsageError, match="near names"):
        devices.named("A1000000")
    with pytest.raises(UnsupportedError, match="bf16"):
        devices.named("T4").peak("bf16")


def test_an_own_device_is_remembered(tmp_path):
    from dataclasses import replace

    devices.add_own(tmp_path, replace(devices.named("L4"), name="my card", bandwidth_gb_s=123.0))
    assert devices.catalogue(tmp_path)["my card"].bandwidth_gb_s == 123.0
    assert "L4" in devices.catalogue(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "llama", "t5"])
def test_flops_are_what_torch_counts(kind):
    """Every matrix product of a tiny model, attention included, as `FlopCounterMode` sees it."""
    import torch
    import transformers
    from torch.utils.flop_counter import FlopCounterMode

    batch, tokens = 2, 24
    if kind == "bert":
        config = transformers.BertConfig(
            vocab_size=100,
            hidden_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=160,
        )
        network = transformers.BertModel(config, add_pooling_layer=False)
        model = config_reading.from_config(config.to_dict())
        expected = counts.forward_flops(model, batch, tokens)
    elif kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=100, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=160,
        )  # fmt: skip
        network = transformers.LlamaModel(config)
        model = config_reading.from_config(config.to_dict())
        # torch counts the whole square of a causal product
        expected = counts.linear_flops(model, batch, tokens) + 2 * counts.attention_flops(
            model, batch, tokens
        )
    else:
        config = transformers.T5Config(
            vocab_size=100, d_model=64, d_kv=16, num_layers=3, num_heads=4, d_ff=160
        )
        network = transformers.T5EncoderModel(config)
        bert = model_catalogue.named("minilm-l6-h384")
        model = dataclasses.replace(
            bert, layers=3, width=64, heads=4, kv_heads=4, head_dim=16, ffn=160
        )
        expected = counts.forward_flops(model, batch, tokens)
    network.set_attn_implementation("eager")  # the counter knows no fused attention of a processor
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(input_ids=torch.ones(batch, tokens, dtype=torch.long))
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.01)
