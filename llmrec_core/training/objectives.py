"""Losses over positives and negatives, each the mean over a weight that is known beforehand.

A batch is scores of shape (groups, P + N): the P positives of a history first, then its negatives.
A group may have fewer than N negatives; `real` is False where there is none. Gradients that are
summed over several batches are those of one batch with the same groups when each batch's mean
counts by its weight, so every loss says what its mean is over.

Symbols: G groups, P positives, n_g negatives of group g.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Objective:
    """A loss and the weight that its mean is over."""

    loss: Callable[[Tensor, int, Tensor | None], Tensor]
    """Of scores (G, P + N), P, and `real` (G, P + N), where None means that all are real."""
    weight: Callable[[np.ndarray, int], float]
    """Of `real` (G, P + N) and P."""


def listwise(scores: Tensor, positives: int = 1, real: Tensor | None = None) -> Tensor:
    """Softmax cross-entropy of each positive among itself and the negatives, mean over G·P.

    Source: ListNet with one relevant item (Cao et al., ICML 2007).

    Args:
        scores: shape (G, P + N).
        positives: P, the first columns.
        real: False where a group has no item, shape (G, P + N); None when all are real.
    """
    if real is not None:
        scores = scores.masked_fill(~real, float("-inf"))
    others = scores[:, positives:].logsumexp(dim=-1, keepdim=True)
    return (torch.logaddexp(scores[:, :positives], others) - scores[:, :positives]).mean()


def bce(scores: Tensor, positives: int = 1, real: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of each pair's label, mean over 2·G.

    The positives of a group weigh as much as its negatives.

    Args:
        scores: shape (G, P + N).
        positives: P, the first columns.
        real: False where a group has no item, shape (G, P + N); None when all are real.
    """
    real = torch.ones_like(scores, dtype=torch.bool) if real is None else real
    weights = real / real[:, positives:].sum(dim=1, keepdim=True).clamp_min(1)
    weights[:, :positives] = 1.0 / positives
    labels = _labels(scores, positives)
    total = functional.binary_cross_entropy_with_logits(
        scores, labels, weight=weights, reduction="sum"
    )
    return total / (2 * len(scores))


def mse(scores: Tensor, positives: int = 1, real: Tensor | None = None) -> Tensor:
    """Squared error of the score against the label 1 or 0, mean over all real pairs.

    Args:
        scores: shape (G, P + N).
        positives: P, the first columns.
        real: False where a group has no item, shape (G, P + N); None when all are real.
    """
    labels = _labels(scores, positives)
    if real is not None:
        scores, labels = scores[real], labels[real]
    return functional.mse_loss(scores, labels)


def pairwise(scores: Tensor, positives: int = 1, real: Tensor | None = None) -> Tensor:
    """Logistic loss of each positive against each negative, mean over Σ P·n_g.

    Source: BPR (Rendle et al., arXiv:1205.2618).

    Args:
        scores: shape (G, P + N).
        positives: P, the first columns.
        real: False where a group has no item, shape (G, P + N); None when all are real.
    """
    losses = functional.softplus(scores[:, None, positives:] - scores[:, :positives, None])
    if real is not None:
        losses = losses[real[:, None, positives:].expand_as(losses)]
    return losses.mean()


def _labels(scores: Tensor, positives: int) -> Tensor:
    labels = torch.zeros_like(scores)
    labels[:, :positives] = 1.0
    return labels


OBJECTIVES = {
    "listwise": Objective(listwise, lambda real, positives: float(len(real) * positives)),
    "bce": Objective(bce, lambda real, positives: 2.0 * len(real)),
    "mse": Objective(mse, lambda real, positives: float(real.sum())),
    "pairwise": Objective(
        pairwise, lambda real, positives: float(positives * real[:, positives:].sum())
    ),
}
