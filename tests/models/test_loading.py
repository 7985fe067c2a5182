"""What may be loaded, in which precision; everything else is refused with a sentence."""

import json
import shutil

import numpy as np
import pytest
import torch

from llmrec_core.errors import CheckpointError, LlmrecError, UnsupportedError, UsageError
from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.precision import apply_precision
from llmrec_core.scoring.scorer import Scorer
from tests.engine import KINDS, folder, scorer_model


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(folder("bert"), tmp_path / "copy")


def edit(path, **changes):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.threat("model-code")
def test_pickled_weights_are_refused(copied, settings):
    (copied / "model.safetensors").unlink()
    torch.save({"a": torch.ones(1)}, copied / "pytorch_model.bin")
    with pytest.raises(
        UnsupportedError, match=r"only pickled weights \(pytorch_model.bin\), which can run code"
    ):
        load_backbone(str(copied), settings)


@pytest.mark.threat("model-code")
def test_code_that_comes_with_a_model_is_never_run(copied, settings, tmp_path):
    (copied / "modeling_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    edit(copied, auto_map={"AutoModel": "modeling_evil.Evil"})
    with pytest.raises(UnsupportedError, match="code of its own"):
        load_backbone(str(copied), settings)
    assert not (tmp_path / "ran").exists()


@pytest.mark.threat("any-config")
def test_an_unknown_architecture_is_refused(copied, settings):
    edit(copied, model_type="mamba")
    with pytest.raises(UnsupportedError, match="'mamba'; supported: bert, roberta"):
        load_backbone(str(copied), settings)


ODD_CONFIGS = [
    {"hidden_size": None},
    {"hidden_size": "x"},
    {"num_attention_heads": 0},
    {"num_attention_heads": []},
    {"num_hidden_layers": -1},
    {"vocab_size": {}},
    {"max_position_embeddings": 1.5},
    {"hidden_act": "no such function"},
    {"layer_norm_eps": "small"},
    {"architectures": 7},
    {"model_type": []},
]


@pytest.mark.threat("any-config")
@pytest.mark.parametrize("changes", ODD_CONFIGS, ids=str)
def test_an_odd_config_is_a_sentence(copied, settings, changes):
    edit(copied, **changes)
    with pytest.raises(LlmrecError) as refusal:
        load_backbone(str(copied), settings)
    assert "\n" not in str(refusal.value)


def test_a_missing_weight_is_an_error_not_a_log_line(copied, settings):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    del weights["encoder.layer.1.attention.self.key.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="silently wrong"):
        load_backbone(str(copied), settings)


@pytest.mark.threat("damaged-model")
def test_truncated_weights_are_refused(copied, settings):
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        load_backbone(str(copied), settings)


def test_a_folder_without_config_and_a_wrong_path(copied, settings):
    (copied / "config.json").unlink()
    with pytest.raises(UsageError, match=r"no config\.json"):
        load_backbone(str(copied), settings)
    with pytest.raises(UsageError, match="not a folder"):
        load_backbone("/no/such/folder", settings)


@pytest.mark.parametrize("depth", [-1, 3])
def test_a_depth_that_is_not_there(settings, depth):
    with pytest.raises(UsageError, match="it has 2 layers"):
        load_backbone(str(folder("bert")), settings, depth=depth)


@pytest.mark.parametrize("kind", KINDS)
def test_depth_keeps_the_first_layers(settings, kind):
    made = load_backbone(str(folder(kind)), settings, depth=1)
    assert len(made.stack.blocks) == made.stack.config.num_hidden_layers == 1


@pytest.mark.parametrize("kind", ["bert", "llama", "qwen2", "gpt_neox"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_int8_is_close_to_fp32(kind):
    made = scorer_model(kind)
    items = np.arange(30)
    exact = Scorer(made).scores([1, 2, 3], items)
    apply_precision(made, "int8-dynamic")
    rounded = Scorer(made).scores([1, 2, 3], items)
    assert np.corrcoef(exact, rounded)[0, 1] > 0.95
    assert not np.array_equal(exact, rounded)


def test_int8_has_nothing_to_act_on_in_gpt2():
    with pytest.raises(UnsupportedError, match="keeps its weights transposed"):
        apply_precision(scorer_model("gpt2"), "int8-dynamic")


def test_bf16_weights_give_similar_scores():
    made = scorer_model("llama")
    items = np.arange(30)
    exact = Scorer(made).scores([1, 2, 3], items)
    apply_precision(made, "bf16")
    assert np.corrcoef(exact, Scorer(made).scores([1, 2, 3], items))[0, 1] > 0.97


def test_an_unknown_precision_is_a_sentence():
    with pytest.raises(UnsupportedError, match="choose fp32"):
        apply_precision(scorer_model("bert"), "fp3")
