"""What executes a scorer: eager PyTorch, `torch.compile`, or ONNX Runtime."""

from __future__ import annotations

import shutil

import torch

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.scorer_model import ScorerModel


def apply_runtime(model: ScorerModel, runtime: str, precision: str = "fp32") -> None:
    """Have a model score through another runtime, in place, once its weights are final.

    Args:
        model: to be changed.
        runtime: `eager`; `compile`, which fuses what stands between two attentions (output
            product, norms, feed-forward), while attention keeps its own kernel; or `onnx`, which
            exports the graphs, compares them with torch, and serves single histories in mode
            `shared`.
        precision: of the weights.

    Raises:
        UnsupportedError: when the runtime is missing, does not fit the precision, or gives other
            scores.
    """
    if runtime == "eager":
        return
    if runtime == "onnx":
        if precision != "fp32":
            raise UnsupportedError(
                t(
                    "runtime 'onnx' serves fp32, not {precision!r}: that is applied by torch; use "
                    "runtime 'eager'",
                    precision=precision,
                )
            )
        from llmrec_core.models.onnx_engine import OnnxEngine

        model.engine = OnnxEngine(model)
        return
    require_compiler(model.device.type)
    for block in model.backbone.stack.blocks:
        block.close = torch.compile(block.close, dynamic=True)  # type: ignore[method-assign]  # of this instance alone


def require_compiler(device: str) -> None:
    """Refuse `torch.compile` where it cannot build its kernels.

    Raises:
        UnsupportedError: on a CPU without a C++ compiler.
    """
    if device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise UnsupportedError(
            t(
                "runtime 'compile' builds C++ kernels and finds neither g++ nor clang++; "
                "install one, or use eager"
            )
        )
