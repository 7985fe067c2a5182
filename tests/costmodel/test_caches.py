"""What decoding keeps of each token: by hand, and against the caches that transformers keeps."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import model_catalogue
from llmrec_core.costmodel.facts.config_reading import from_config
from llmrec_core.costmodel.predict import counts
from tests.costmodel.public_configs import PUBLIC

BY_NAME = {model.name: model.config for model in PUBLIC}
GB = 1e9


def cache_gb(name, tokens, batch=1.0, **changes):
    return counts.kv_cache_bytes(from_config(BY_NAME[name] | changes), tokens, batch) / GB


def test_plain_and_grouped_attention_keep_keys_and_values_of_their_heads():
    assert cache_gb("pythia-1.4b", 1000) == 1000 * 24 * 2 * 16 * 128 * 2 / GB
    assert cache_gb("llama-3.1-8b", 1000, 4.0) == 4 * 1000 * 32 * 2 * 8 * 128 * 2 / GB


def test_latent_attention_keeps_the_latent_and_the_rotated_key():
    """131,040 more tokens add 131,040 · 27 layers · (512 + 64) values of two bytes: 4.1 GB."""
    more = cache_gb("deepseek-v2-lite", 131_072) - cache_gb("deepseek-v2-lite", 32)
    assert more == pytest.approx(131_040 * 27 * 576 * 2 / GB) == pytest.approx(4.08, abs=0.01)


def test_a_sliding_window_keeps_its_own_length():
    each = 32 * 2 * 8 * 128 * 2
    assert cache_gb("mistral-7b-v0.1", 3000) == 3000 * each / GB
    assert cache_gb("mistral-7b-v0.1", 131_072) == 4096 * each / GB
    whole = cache_gb("mistral-7b-v0.1", 131_072, sliding_window=None)
    assert whole == 131_072 * each / GB  # 16.6 GB more than the window's 0.5


def test_alternating_layers_keep_all_in_half_and_a_window_in_the_other():
    each = 2 * 8 * 256 * 2
    assert cache_gb("gemma-2-9b", 8192) == 21 * (4096 + 8192) * each / GB
    # every sixth layer of Gemma 3 sees all: 4 of 26
    each = 2 * 1 * 256 * 2
    assert cache_gb("gemma-3-1b", 10_000) == (22 * 512 + 4 * 10_000) * each / GB


def test_a_recurrent_layer_keeps_a_state_whatever_the_length():
    state = 24 * 1536 * (16 + 4) * 2
    assert cache_gb("mamba-130m", 10) == cache_gb("mamba-130m", 100_000) == state / GB


def test_the_window_shortens_attention_s_work_too():
    full = from_config(BY_NAME["mistral-7b-v0.1"] | {"sliding_window": None})
    slid = from_config(BY_NAME["mistral-7b-v0.1"])
    each = 4 * 32 * 4096  # layers, heads · head width
    # token i of 16,384 looks at i/2 on average, then at 4,096
    assert counts.attention_flops(full, 1, 16_384) == each * 16_384 * 8192
    assert counts.attention_flops(slid, 1, 16_384) == each * (4096 * 2048 + 12_288 * 4096)
    assert counts.attention_flops(slid, 1, 1, 100_000) == each * 4096
    assert counts.attention_flops(slid, 1, 100) == counts.attention_flops(full, 1, 100)


def test_kinds_of_layers_that_nobody_knows_are_said():
    shape = from_config(BY_NAME["llama-3.1-8b"] | {"layer_types": ["psychic"] * 32})
    assert any("kinds of its layers are not known" in sentence for sentence in shape.unknown)
    recurrent = from_config(BY_NAME["llama-3.1-8b"] | {"layer_types": ["mamba"] * 32})
    assert any("state of its recurrent layers" in sentence for sentence in recurrent.unknown)


def test_the_catalogue_knows_windows_too():
    gemma = model_catalogue.named("google/gemma-2-9b-it")
    assert [(group.layers, group.window) for group in gemma.kept] == [(21, 4096), (21, None)]


TINY = {
    "llama": {"num_key_value_heads": 4},
    "llama grouped": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 8},
    "gemma2": {"num_key_value_heads": 2, "sliding_window": 8, "head_dim": 8},
    "deepseek_v3": {
        "num_key_value_heads": 4,
        "kv_lora_rank": 12,
        "q_lora_rank": 16,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "v_head_dim": 8,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 16,
    },
    "gpt_oss": {
        "num_key_value_heads": 2,
        "sliding_window": 8,
        "head_dim": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "qwen3_next": {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    },
    "falcon_h1": {
        "num_key_value_heads": 2,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
    },
    "mamba2": {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1},
    "mamba": {"state_size": 8, "conv_kernel": 4, "expand": 2},
    "jamba": {
        "num_key_value_heads": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "num_experts": 2,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
}


@pytest.mark.parametrize("family", TINY)
def test_it_is_what_transformers_keeps(family):
    """A tiny model reads 20 tokens; the tensors of its cache are counted."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        family.split()[0],
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **TINY[family],
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        output = model(torch.arange(20)[None], use_cache=True)
    kept = output.cache_params if family.startswith("mamba") else output.past_key_values
    values = sum(tensor.numel() for layer in kept.layers for tensor in tensors(layer))
    shape = from_config(config.get_text_config().to_dict())
    windows = {group.window for group in shape.kept if group.window}
    if windows:  # the library keeps one token fewer, since the next one joins before it is read
        shape = replace(
            shape,
            caches=tuple(
                replace(group, window=group.window - 1) if group.window else group
                for group in shape.kept
            ),
        )
    assert counts.kv_cache_bytes(shape, 20, bits=8) == values


def tensors(layer):
    import torch

    kept = []
    for value in vars(layer).values():
        kept += value.values() if isinstance(value, dict) else [value]
    return [value for value in kept if isinstance(value, torch.Tensor) and value.dim()]
