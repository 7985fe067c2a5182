"""Linears that keep their weights in 8 or 4 bits and multiply in the activations' own format.

Memory is what they save: 1 byte a weight and one scale a row, or half a byte and one scale a group of 32. Weights are
expanded for each product, which costs little when hundreds of tokens share it. Symmetric rounding, nearest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 32
"""Weights that share one scale at 4 bits."""


class Int8Linear(nn.Module):
    """y = x Wᵀ + b with W in int8, one scale per output row."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        scale = weight.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
        self.register_buffer("values", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def expanded(self) -> Tensor:
        """The weights (out, in) as they are multiplied."""
        return self.values.to(self.scale.dtype) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.expanded(), self.bias)


class Int4Linear(nn.Module):
    """As `Int8Linear` with two weights a byte and one scale per `GROUP` weights of a row."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        out, width = weight.shape
        self.width = width
        grouped = F.pad(weight, (0, -width % GROUP)).view(out, -1, GROUP)
        scale = grouped.abs().amax(dim=2, keepdim=True).clamp_min(1e-12) / 7
        levels = ((grouped / scale).round() + 8).to(torch.uint8).view(out, -1)  # 1 … 15
        self.register_buffer("packed", levels[:, 0::2] | (levels[:, 1::2] << 4))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def expanded(self) -> Tensor:
        """The weights (out, in) as they are multiplied."""
        levels = torch.stack((self.packed & 15, self.packed >> 4), dim=-1).view(len(self.packed), -1, GROUP)
        return ((levels.to(self.scale.dtype) - 8) * self.scale).flatten(1)[:, : self.width]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.expanded(), self.bias)


def swap_linears(module: nn.Module, kind: type[Int8Linear] | type[Int4Linear]) -> int:
    """Replace every linear below `module`, the output matrix excepted, in place; how many were replaced."""
    count = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            transposed = type(child).__name__ == "Conv1D"  # GPT-2 keeps (in, out)
            if name == "lm_head" or name == "embed_out" or not (isinstance(child, nn.Linear) or transposed):
                continue
            weight = child.weight.detach().T if transposed else child.weight.detach()
            setattr(parent, name, kind(weight, child.bias))
            count += 1
    return count
