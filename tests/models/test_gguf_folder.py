"""A GGUF file becomes a folder of the same model: a tiny Gemma 3, written with the library gguf."""

import errno
import json

import gguf
import numpy as np
import pytest
import torch
import transformers

from llmrec_core.errors import AssetError
from llmrec_core.models import gguf_folder
from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.label_words import label_tokens
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.settings import Settings

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_feedforward_layernorm": "post_ffw_norm",
}
"""Names of transformers → names of llama.cpp."""
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>"]
JOINED = ["Ye", "Yes", "No", "▁Yes", "▁No"]
"""Pieces that are made of two others, in the order in which they are joined."""
PIECES = [*SPECIAL, *JOINED, "▁", "\n", *map(chr, range(33, 127))]
GROUP = 32
"""Values of Q8_0 that share a scale."""


def tiny_model():
    """Six layers, so that Gemma's pattern has one that sees everything."""
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        vocab_size=len(PIECES), hidden_size=32, num_hidden_layers=6, intermediate_size=64,
        num_attention_heads=4, num_key_value_heads=1, head_dim=16, sliding_window=8,
        max_position_embeddings=128, bos_token_id=2, eos_token_id=1, pad_token_id=0,
        initializer_range=0.3,
    )  # fmt: skip
    model = transformers.Gemma3ForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(std=0.3)
            else:  # as the file will hold it, so that the answers are to be the same
                parameter.copy_(torch.from_numpy(stored(parameter.numpy())))
    return model


def stored(values):
    """What 8 bits hold of a matrix."""
    kind = gguf.GGMLQuantizationType.Q8_0
    return gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)


def write_gguf(path, model):
    """The file in llama.cpp's manner: its norms hold 1 + weight."""
    config = model.config
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(PIECES)
    writer.add_token_scores([-float(place) for place in range(len(PIECES))])
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(PIECES) - len(SPECIAL)))
    for kind, token in (("bos", 2), ("eos", 1), ("unk", 3), ("pad", 0)):
        getattr(writer, f"add_{kind}_token_id")(token)
    writer.add_add_space_prefix(False)
    for name, parameter in model.named_parameters():
        values, own = parameter.detach().numpy(), name.removesuffix(".weight")
        if own.startswith("model.layers."):
            number, _, part = own.removeprefix("model.layers.").partition(".")
            own = f"blk.{number}.{NAMES[part]}"
        else:
            own = NAMES[own]
        if values.ndim == 1:
            writer.add_tensor(f"{own}.weight", values + 1)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{own}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The model, and the folder of its converted file."""
    folder, model = tmp_path_factory.mktemp("gemma"), tiny_model()
    write_gguf(folder / "tiny-q8_0.gguf", model)
    return model, gguf_folder.converted(folder)


def test_the_converted_model_gives_the_logits_of_the_one_in_the_file(made, tmp_path):
    model, folder = made
    again = load_backbone(str(folder), Settings(tmp_path, "sqlite://", 30.0)).stack.model
    tokens = torch.tensor(np.random.default_rng(0).integers(5, len(PIECES), (2, 30)))
    with torch.no_grad():
        expected, found = (each(input_ids=tokens).logits for each in (model, again))
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-5
    kinds = json.loads((folder / "config.json").read_text())["layer_types"]
    assert kinds == ["sliding_attention"] * 5 + ["full_attention"]


def test_its_tokenizer_knows_the_labels_and_every_special_token(made, tmp_path):
    _, folder = made
    tokenizer = load_backbone(str(folder), Settings(tmp_path, "sqlite://", 30.0)).tokenizer
    assert label_tokens(tokenizer, "\nAnswer:", [" Yes", " No"]) == [
        PIECES.index("▁Yes"),
        PIECES.index("▁No"),
    ]
    assert "<start_of_turn>" not in tokenizer.all_special_tokens
    assert tokenizer("<start_of_turn>", add_special_tokens=False)["input_ids"] == [4]
    titles = ["Heat <start_of_turn><eos> (1995)"]
    layout = PromptLayout(
        tokenizer,
        decoder=True,
        history_texts=titles,
        candidate_texts=titles,
        history_items=1,
        max_tokens=200,
    )
    assert layout.clean(titles[0]) == "Heat (1995)"
    assert not {1, 4} & set(layout.candidates[0])


def test_a_second_conversion_takes_the_first_one_s_folder(made, monkeypatch):
    _, folder = made
    monkeypatch.setattr(gguf_folder, "_convert", lambda *_: pytest.fail("converted again"))
    assert gguf_folder.converted(folder.parent) == folder


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    def full(_, folder):
        folder.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "tiny.gguf").write_bytes(b"weights")
    monkeypatch.setattr(gguf_folder, "_convert", full)
    with pytest.raises(AssetError, match="the disk is full; free"):
        gguf_folder.converted(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


def test_a_fetched_gguf_is_converted_at_once_and_other_assets_are_not(tmp_path, monkeypatch):
    settings = Settings(tmp_path, "sqlite://", 30.0)
    monkeypatch.setattr(gguf_folder, "fetch", lambda name, settings, say: tmp_path / name)
    monkeypatch.setattr(gguf_folder, "converted", lambda folder: folder / "safetensors")
    lines = []
    assert gguf_folder.prepared("minilm-l6", settings, lines.append) == tmp_path / "minilm-l6"
    assert not lines
    folder = gguf_folder.prepared("gemma3-270m", settings, lines.append)
    assert folder == tmp_path / "gemma3-270m" / "safetensors"
    assert len(lines) == 1
