"""What the weights of a torch module take, and whether its products are seen by torch's counter."""

from __future__ import annotations

import torch
from torch import nn

FLOAT_BYTES = 4
INTEGER_LINEAR = torch.ao.nn.quantized.dynamic.Linear
"""Holds its weights packed, outside of parameters and buffers."""


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all weights as held in memory, shared ones once, packed integers included."""
    sizes: dict[int, int] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    for part in module.modules():
        if isinstance(part, INTEGER_LINEAR):
            weight, bias = part.weight(), part.bias()
            # one byte a weight, a scale and a zero point for each row, and the bias in fp32
            sizes[id(part)] = weight.numel() + 2 * FLOAT_BYTES * weight.shape[0]
            sizes[id(part)] += FLOAT_BYTES * bias.numel() if bias is not None else 0
    return sum(sizes.values())


def has_integer_products(module: nn.Module) -> bool:
    """Whether some products multiply integers, which torch's counter of FLOPs does not see."""
    return any(isinstance(part, INTEGER_LINEAR) for part in module.modules())
