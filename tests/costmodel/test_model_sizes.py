"""Weights counted from public configs, kept by the config's hash, and read by formula elsewhere."""

import json
from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import counted_sizes, model_catalogue
from llmrec_core.costmodel.facts.config_reading import from_config
from llmrec_core.costmodel.predict import weights
from llmrec_core.errors import DataError, UnsupportedError
from llmrec_core.running import answers, model_sizes
from llmrec_core.settings import Settings
from tests.costmodel.public_configs import PUBLIC

LITE = next(model for model in PUBLIC if model.name == "deepseek-v2-lite").config
GEMMA = next(model for model in PUBLIC if model.name == "gemma-2b").config


def counted(config, name="model"):
    sizes = model_sizes.count(config)
    return replace(from_config(sizes.config, name), sizes=sizes.sizes())


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.name)
def test_counted_weights_are_the_published_ones(model):
    shape = counted(model.config, model.name)
    parameters = weights.parameters(shape)
    assert parameters.total == pytest.approx(model.total, rel=0.005)
    if model.active is not None:
        assert parameters.active == pytest.approx(model.active, rel=0.02)
    # the packed formulas multiply what a token passes, whatever its layers are made of
    packed = shape.shape.layers * shape.shape.layer_weights
    assert packed == pytest.approx(parameters.passed, rel=0.005)


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.name)
def test_our_own_reading_is_the_published_size_or_names_what_is_missing(model):
    if model.name == "gemma-3-4b":  # its file leaves the heads to the family's default
        with pytest.raises(DataError, match="lacks num_attention_heads, and its family"):
            from_config(model.config, model.name)
        return
    total = weights.parameters(from_config(model.config, model.name)).total
    assert total == pytest.approx(model.total, rel=0.01)


def test_tying_left_to_the_family_is_the_same_as_tying_said():
    said = counted(GEMMA | {"tie_word_embeddings": True})
    left_out = counted(GEMMA)
    # 256,000 · 2,048 once, and 18 layers of 2·2048·8·256 + 2·2048·256 + 3·2048·16384 and two norms
    layer = 2 * 2048 * 8 * 256 + 2 * 2048 * 256 + 3 * 2048 * 16384 + 2 * 2048
    assert weights.parameters(left_out).total == 256_000 * 2048 + 18 * layer + 2048
    assert weights.weight_bytes(left_out, "fp16") == weights.weight_bytes(said, "fp16")


def test_dense_first_layers_and_shared_experts_are_counted_by_hand():
    # vocabulary twice; 27 latent attentions; one dense layer; 26 of 64 + 2 experts and a router
    attention = 2048 * 16 * 192 + 2048 * 576 + 512 * 16 * 256 + 16 * 128 * 2048
    by_hand = 2 * 102_400 * 2048 + 27 * attention + 3 * 2048 * 10_944
    by_hand += 26 * (66 * 3 * 2048 * 1408 + 2048 * 64)
    assert weights.parameters(counted(LITE)).total == pytest.approx(by_hand, rel=1e-4)
    assert weights.routed_weights(counted(LITE)) == 26 * 64 * 3 * 2048 * 1408


def write(folder, config):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_sizes_are_kept_by_the_content_of_the_config(tmp_path):
    home, model = tmp_path / "home", write(tmp_path / "lite", LITE)
    before = model_catalogue.load(model, home)
    assert "not counted" in before.unknown[-1] and "our own" in before.sizes.source
    assert model_sizes.ensure(model, home) == ""
    after = model_catalogue.load(model, home)
    assert after.sizes.source.startswith("transformers ") and not after.unknown
    # the same config under another name and in another order is not counted again
    moved = write(tmp_path / "moved", dict(reversed(list(LITE.items()))))
    assert model_catalogue.load(moved, home).sizes == after.sizes
    changed = write(tmp_path / "changed", LITE | {"num_hidden_layers": 26})
    assert model_catalogue.load(changed, home).sizes.source != after.sizes.source


def test_a_damaged_size_is_counted_anew(tmp_path):
    home, model = tmp_path / "home", write(tmp_path / "lite", LITE)
    model_sizes.ensure(model, home)
    kept = next((home / "costmodel" / "sizes").iterdir())
    for damage in ("{", '{"total": -1}', "[]"):
        kept.write_text(damage)
        assert counted_sizes.kept(home, LITE) is None
        assert model_sizes.ensure(model, home) == ""
        assert counted_sizes.kept(home, LITE) is not None


def test_a_family_nobody_knows_is_read_by_formula_and_says_so(tmp_path):
    config = {
        "model_type": "nobodys_model",
        "num_hidden_layers": 4,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 1000,
        "hidden_act": "gelu",
    }
    model = write(tmp_path / "odd", config)
    assert "cannot build the family 'nobodys_model'" in model_sizes.ensure(model, tmp_path / "home")
    shape = model_catalogue.load(model, tmp_path / "home")
    # 4 layers of 4·64·64 + 2·64·128 and two norms; two vocabulary matrices, since tying is not said
    assert weights.parameters(shape).total == 4 * (4 * 64 * 64 + 2 * 64 * 128 + 128) + 2 * 64_000
    assert any("tied is not stated" in sentence for sentence in shape.unknown)


def test_a_family_that_neither_knows_is_refused_with_the_missing_fields(tmp_path):
    model = write(tmp_path / "odd", {"model_type": "nobodys_model", "hidden_size": 64})
    with pytest.raises(DataError, match="lacks num_hidden_layers, num_attention_heads"):
        model_catalogue.load(model)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_hidden_layers": -1},
        {"num_hidden_layers": 1e9},
        {"num_hidden_layers": "twelve"},
        {"hidden_size": float("inf")},
        {"hidden_size": float("nan")},
        {"num_attention_heads": True},
        {"num_attention_heads": 0},
        {"vocab_size": 1.5},
        {"n_routed_experts": 10**8},
    ],
)
def test_a_number_that_no_model_has_is_refused(wrong):
    with pytest.raises(DataError, match=r"expected a whole number|more than any model has"):
        from_config(LITE | wrong)
        model_sizes.check_sizes(LITE | wrong)


def test_code_of_the_config_s_author_is_never_run(tmp_path):
    config = {"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}}
    (tmp_path / "evil.py").write_text("open('marker', 'w')\nclass Evil: pass\n")
    with pytest.raises(UnsupportedError, match="cannot build the family 'evil'"):
        model_sizes.count(config)
    assert not (tmp_path / "marker").exists()


def test_a_worker_counts_what_a_page_asks_for(tmp_path):
    settings = Settings(tmp_path / "home", f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    model = write(tmp_path / "lite", LITE)
    payload = {"model": model}
    assert answers.answer("count-model", payload, settings) == {"reason": ""}
    assert model_catalogue.load(model, settings.home).sizes.total == 15_706_484_224
    odd = write(tmp_path / "odd", {"model_type": "nobodys_model"})
    said = answers.answer("count-model", {"model": odd}, settings)
    assert "cannot build the family" in said["reason"]


def test_a_file_that_is_no_config_is_refused(tmp_path):
    large = tmp_path / "config.json"
    large.write_text("[" * 3_000_000)
    with pytest.raises(DataError, match="larger than 2,000,000 bytes"):
        model_catalogue.read_config(large)
    large.write_text("[" * 100_000)
    with pytest.raises(DataError, match="cannot be read as a model"):
        model_catalogue.read_config(large)
