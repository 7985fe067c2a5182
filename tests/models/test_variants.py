"""Weight-only formats, ONNX Runtime, torch.compile: close to their source, or refused with the reason."""

import numpy as np
import pytest
import torch

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.onnx_engine import OnnxEngine
from llmrec_core.models.precision import apply_precision
from llmrec_core.models.runtimes import apply_runtime
from llmrec_core.models.weight_only import Int4Linear, Int8Linear
from llmrec_core.profiling.weights import weight_bytes
from llmrec_core.scoring.scorer import Scorer
from tests.engine import KINDS, scorer_model

ITEMS = np.arange(30)


@pytest.mark.parametrize("kind, levels", [(Int8Linear, 127), (Int4Linear, 7)])
@pytest.mark.parametrize("width", [32, 45])
def test_a_weight_is_off_by_half_a_level_at_most(kind, levels, width):
    torch.manual_seed(0)
    weight = torch.randn(10, width)
    layer = kind(weight, None)
    step = layer.scale.amax() if kind is Int4Linear else layer.scale
    assert ((layer.expanded() - weight).abs() <= step / 2 + 1e-6).all()
    x = torch.randn(4, width)
    torch.testing.assert_close(layer(x), x @ layer.expanded().T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision, closeness", [("int8", 0.99), ("int4", 0.6)])
def test_weight_only_formats_save_memory_and_keep_the_order(kind, precision, closeness):
    made = scorer_model(kind)
    exact, bytes_before = Scorer(made).scores([1, 2, 3], ITEMS), weight_bytes(made)
    apply_precision(made, precision)
    assert weight_bytes(made) < bytes_before
    assert np.corrcoef(exact, Scorer(made).scores([1, 2, 3], ITEMS))[0, 1] > closeness


def test_tf32_is_refused_on_a_cpu():
    with pytest.raises(UnsupportedError, match="NVIDIA"):
        apply_precision(scorer_model("bert"), "tf32")


@pytest.fixture(scope="module", params=[("bert", "attention"), ("llama", "yes-no")])
def exported(request):
    """A model, its scores by torch, and the same model behind ONNX Runtime."""
    pytest.importorskip(
        "onnxruntime", reason="no onnxruntime: pip install onnxruntime onnx onnxscript"
    )
    pytest.importorskip(
        "onnxscript", reason="no onnxscript: pip install onnxruntime onnx onnxscript"
    )
    made = scorer_model(request.param[0], head=request.param[1])
    exact = {history: Scorer(made).scores(history, ITEMS) for history in ((1, 2, 3), (), (5,))}
    apply_runtime(made, "onnx")
    return made, exact


def test_onnx_runtime_gives_the_same_scores(exported):
    made, exact = exported
    assert made.engine is not None and made.engine.bytes > 0
    for history, expected in exact.items():
        np.testing.assert_allclose(
            Scorer(made).scores(history, ITEMS), expected, atol=2e-4, rtol=1e-4
        )


def test_an_onnx_export_that_differs_is_refused(exported, monkeypatch):
    made = exported[0]
    engine, honest = made.engine, OnnxEngine.score
    monkeypatch.setattr(OnnxEngine, "score", lambda self, *inputs: honest(self, *inputs) * 1.01)
    monkeypatch.setattr(made, "engine", None)  # torch's own scores to compare with
    with pytest.raises(UnsupportedError, match="differs from its source"):
        engine._compare(made)


def test_onnx_serves_fp32_in_mode_shared_only():
    with pytest.raises(UnsupportedError, match="serves fp32"):
        apply_runtime(scorer_model("bert"), "onnx", "int8-dynamic")
    pytest.importorskip(
        "onnxruntime", reason="no onnxruntime: pip install onnxruntime onnx onnxscript"
    )
    with pytest.raises(UnsupportedError, match="mode 'shared'"):
        apply_runtime(scorer_model("bert", history_attention="full"), "onnx")


def test_compile_without_a_compiler_is_a_sentence(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"neither g\+\+ nor clang"):
        apply_runtime(scorer_model("bert"), "compile")
