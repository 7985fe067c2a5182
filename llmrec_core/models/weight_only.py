"""Linears that keep their weights in 8 or 4 bits and multiply in the activations' own format.

Memory is what they save: 1 byte a weight and one scale a row, or half a byte and one scale a group
of 32. Weights are expanded for each product, which costs little when hundreds of tokens share it.
Rounding is symmetric and to the nearest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

GROUP = 32
"""Weights that share one scale at 4 bits."""
LARGEST_8, LARGEST_4 = 127, 7
SMALLEST_SCALE = 1e-12


class Int8Linear(nn.Module):
    """y = x Wᵀ + b with W in int8, one scale per output row."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Round `weight` (out, in)."""
        super().__init__()
        largest = weight.abs().amax(dim=1, keepdim=True)
        scale = largest.clamp_min(SMALLEST_SCALE) / LARGEST_8
        self.register_buffer("values", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def expanded(self) -> Tensor:
        """The weights (out, in) as they are multiplied."""
        return self.values.to(self.scale.dtype) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return functional.linear(x, self.expanded(), self.bias)


class Int4Linear(nn.Module):
    """As `Int8Linear` with two weights a byte and one scale per `GROUP` weights of a row."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Round `weight` (out, in)."""
        super().__init__()
        out, width = weight.shape
        self.width = width
        grouped = functional.pad(weight, (0, -width % GROUP)).view(out, -1, GROUP)
        largest = grouped.abs().amax(dim=2, keepdim=True)
        scale = largest.clamp_min(SMALLEST_SCALE) / LARGEST_4
        levels = ((grouped / scale).round() + 8).to(torch.uint8).view(out, -1)  # 1 … 15
        self.register_buffer("packed", levels[:, 0::2] | (levels[:, 1::2] << 4))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def expanded(self) -> Tensor:
        """The weights (out, in) as they are multiplied."""
        levels = torch.stack((self.packed & 15, self.packed >> 4), dim=-1).view(
            len(self.packed), -1, GROUP
        )
        whole = (levels.to(self.scale.dtype) - 8) * self.scale
        return whole.flatten(1)[:, : self.width]

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return functional.linear(x, self.expanded(), self.bias)


def swap_linears(
    module: nn.Module, kind: type[Int8Linear] | type[Int4Linear], keep: nn.Module | None = None
) -> int:
    """Replace every linear below a module, in place.

    Args:
        module: what is changed.
        kind: of the new linears.
        keep: a linear that stays, e.g. the output matrix.

    Returns:
        How many were replaced.
    """
    count = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if child is keep or not isinstance(child, (nn.Linear, Conv1D)):
                continue
            weight = child.weight.detach()
            if isinstance(child, Conv1D):  # GPT-2 keeps (in, out)
                weight = weight.T
            setattr(parent, name, kind(weight, child.bias))
            count += 1
    return count
