"""Logits of a softmax over some of the catalogue in place of all of it.

A full softmax of P places costs P · items · E multiply-adds and as many exponentials; with K
negatives it costs P · (K + 1) · E. The negatives are drawn once for a whole batch, uniformly and
without replacement, so that their logits are one matrix product.

Source: Bengio & Senécal 2008 (IEEE TNN 19(4)) for the correction by the chance of a draw;
Klenitskiy & Vasilev 2023 (arXiv:2309.07602) for SASRec with it.

Symbols: P places, E width, K negatives.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sampled_logits(states: Tensor, table: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """The logit of each place's target, then those of the negatives.

    Every item is drawn with chance K / items, so that a negative stands for items / K of them and
    its logit grows by the logarithm of that; one that is the place's own target counts nothing.

    Args:
        states: what the places ask with, shape (P, E).
        table: vectors of the items without padding, shape (items, E).
        targets: item codes, shape (P,).
        negatives: distinct item codes, shape (K,).

    Returns:
        Shape (P, 1 + K); the right answer is always in column 0.
    """
    right = (states * table[targets]).sum(dim=-1, keepdim=True)
    others = states @ table[negatives].T + math.log(table.shape[0] / negatives.shape[0])
    own = negatives[None, :] == targets[:, None]
    return torch.cat((right, others.masked_fill(own, -math.inf)), dim=1)
