"""Swap a model's linears for another number format."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.models.weight_only import Int4Linear, Int8Linear, swap_linears


def apply_precision(model: ScorerModel, precision: str) -> None:
    """Hold the backbone's weights in `precision`, in place. The head stays as it is.

    `int8-dynamic`: weights int8 per output channel, activations int8 per call (CPU kernels of torch.ao).
    `int8`, `int4`: weights alone, multiplied as fp32 (weight_only.py): less memory, no less time.
    `tf32`: fp32 weights, products rounded to 10 bits by the GPU's tensor cores.

    Raises:
        UnsupportedError: when this device or architecture has no such kernels.
    """
    if precision == "fp32":
        return
    if precision not in APPLY:
        raise UnsupportedError(
            f"precision {precision!r} is not available on {model.device.type}; choose {', '.join(['fp32', *APPLY])}"
        )
    APPLY[precision](model)


def _int8_dynamic(model: ScorerModel) -> None:
    if model.device.type != "cpu":
        raise UnsupportedError(
            "precision 'int8-dynamic' has kernels for the CPU only; on a GPU choose 'int8' or 'bf16'"
        )
    names = {
        name for name, part in model.language_model.named_modules() if isinstance(part, nn.Linear) and name != "lm_head"
    }
    if not names:
        raise UnsupportedError(
            f"{model.backbone.name} has no plain linear layers (GPT-2 keeps its weights transposed), so int8 has nothing to act on; use fp32"
        )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch.ao announces its move to torchao, whose dynamic int8 is 24 x slower here
        torch.ao.quantization.quantize_dynamic(
            model.language_model,
            dict.fromkeys(names, torch.ao.quantization.per_channel_dynamic_qconfig),
            dtype=torch.qint8,
            inplace=True,
        )


def _lower(dtype: torch.dtype) -> Callable[[ScorerModel], None]:
    def apply(model: ScorerModel) -> None:
        model.to(dtype)

    return apply


def _weight_only(kind: type[Int8Linear] | type[Int4Linear]) -> Callable[[ScorerModel], None]:
    def apply(model: ScorerModel) -> None:
        swap_linears(model.language_model, kind)

    return apply


def _tf32(model: ScorerModel) -> None:
    if model.device.type != "cuda":
        raise UnsupportedError(
            "precision 'tf32' is a mode of NVIDIA GPUs (Ampere or newer); on a CPU choose fp32 or int8-dynamic"
        )
    torch.set_float32_matmul_precision("high")


APPLY: dict[str, Callable[[ScorerModel], None]] = {
    "tf32": _tf32,
    "bf16": _lower(torch.bfloat16),
    "fp16": _lower(torch.float16),
    "int8": _weight_only(Int8Linear),
    "int8-dynamic": _int8_dynamic,
    "int4": _weight_only(Int4Linear),
}
