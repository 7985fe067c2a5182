"""Has a weight changed? What is remembered of a model is worth nothing once one has."""

from __future__ import annotations

import torch


def weights_version(network: torch.nn.Module) -> tuple[tuple[int, int], ...]:
    """A value that changes whenever a weight is written or replaced, but by a fused optimiser.

    Torch counts the changes of every tensor but those made in inference mode, which cannot change,
    and it does not count the steps of a fused optimiser (torch 2.13, on a processor): training
    drops what was remembered by itself.
    """
    return tuple((id(p), 0 if p.is_inference() else p._version) for p in network.parameters())
