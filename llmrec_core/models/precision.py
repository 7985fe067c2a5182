"""Swap a model's linears for another number format."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.models.weight_only import Int4Linear, Int8Linear, swap_linears


@dataclass(frozen=True)
class Subject:
    """What is put into another format."""

    module: nn.Module
    device: str
    """Type of the device, `cpu` or `cuda`."""
    name: str
    keep: nn.Module | None = None
    """A linear that stays as it is: the output matrix, of which two rows are read."""


def apply_precision(model: ScorerModel, precision: str) -> None:
    """Hold a model's weights in another format, in place.

    `int8-dynamic` has weights in int8 per output channel and activations in int8 per call (CPU
    kernels of torch.ao). `int8` and `int4` hold the weights alone so, multiplied as fp32
    (weight_only.py): less memory, no less time. `tf32` has fp32 weights, whose products the GPU's
    tensor cores round to 10 bits. The head is changed with `bf16` and `fp16` alone, as it must take
    the states as they come.

    Raises:
        UnsupportedError: when this device or architecture has no such kernels.
    """
    backbone = model.backbone
    reformat(
        Subject(
            model.language_model, model.device.type, backbone.name, keep=backbone.stack.lm_head
        ),
        precision,
    )
    if precision in LOWER:
        model.head.to(LOWER[precision])


def reformat(subject: Subject, precision: str) -> None:
    """As `apply_precision`, of any module.

    Raises:
        UnsupportedError: as `apply_precision`.
    """
    if precision == "fp32":
        return
    if precision not in _FORMATS:
        raise UnsupportedError(
            t(
                "precision {precision!r} is not available on {device}; choose {choices}",
                precision=precision,
                device=subject.device,
                choices=", ".join(["fp32", *_FORMATS]),
            )
        )
    _FORMATS[precision](subject)


def _int8_dynamic(subject: Subject) -> None:
    if subject.device != "cpu":
        raise UnsupportedError(
            t(
                "precision 'int8-dynamic' has kernels for the CPU only; on a GPU choose 'int8' "
                "or 'bf16'"
            )
        )
    names = {
        name
        for name, part in subject.module.named_modules()
        if isinstance(part, nn.Linear) and part is not subject.keep
    }
    if not names:
        raise UnsupportedError(
            t(
                "{name} has no plain linear layers (GPT-2 keeps its weights transposed), so "
                "int8 has nothing to act on; use fp32",
                name=subject.name,
            )
        )
    with warnings.catch_warnings():
        # torch.ao announces its move to torchao, whose dynamic int8 was 24 times slower here
        warnings.simplefilter("ignore")
        torch.ao.quantization.quantize_dynamic(
            subject.module,
            dict.fromkeys(names, torch.ao.quantization.per_channel_dynamic_qconfig),
            dtype=torch.qint8,
            inplace=True,
        )


def _cast(dtype: torch.dtype) -> Callable[[Subject], None]:
    def apply(subject: Subject) -> None:
        subject.module.to(dtype)

    return apply


def _weight_only(kind: type[Int8Linear] | type[Int4Linear]) -> Callable[[Subject], None]:
    def apply(subject: Subject) -> None:
        swap_linears(subject.module, kind, keep=subject.keep)

    return apply


def _tf32(subject: Subject) -> None:
    if subject.device != "cuda":
        raise UnsupportedError(
            t(
                "precision 'tf32' is a mode of NVIDIA GPUs (Ampere or newer); on a CPU choose "
                "fp32 or int8-dynamic"
            )
        )
    torch.set_float32_matmul_precision("high")


LOWER = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FORMATS: dict[str, Callable[[Subject], None]] = {
    "tf32": _tf32,
    **{name: _cast(dtype) for name, dtype in LOWER.items()},
    "int8": _weight_only(Int8Linear),
    "int8-dynamic": _int8_dynamic,
    "int4": _weight_only(Int4Linear),
}
