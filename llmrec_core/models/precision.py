"""Swap a model's linears for another number format."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.models.scorer_model import ScorerModel


def apply_precision(model: ScorerModel, precision: str) -> None:
    """Hold the backbone's weights in `precision`, in place. The head stays as it is.

    `int8-dynamic`: weights int8 per output channel, activations int8 per call (CPU kernels of torch.ao).

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


APPLY: dict[str, Callable[[ScorerModel], None]] = {"int8-dynamic": _int8_dynamic, "bf16": _lower(torch.bfloat16), "fp16": _lower(torch.float16)}
