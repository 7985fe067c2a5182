"""Losses over one positive (column 0) and N negatives, scores of shape (groups, 1 + N)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def listwise(scores: Tensor) -> Tensor:
    """Softmax cross-entropy of the positive among its group (ListNet with one relevant item)."""
    return -scores.log_softmax(dim=-1)[:, 0].mean()


def _labels(scores: Tensor) -> Tensor:
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1.0
    return labels


def bce(scores: Tensor) -> Tensor:
    """Negative log-likelihood of each pair's label; the positive weighs as much as all its negatives."""
    weights = torch.full_like(scores, 1.0 / max(scores.shape[1] - 1, 1))
    weights[:, 0] = 1.0
    return F.binary_cross_entropy_with_logits(scores, _labels(scores), weight=weights, reduction="sum") / (
        2 * len(scores)
    )


def mse(scores: Tensor) -> Tensor:
    """Squared error of the score against the label 1 or 0."""
    return F.mse_loss(scores, _labels(scores))


def pairwise(scores: Tensor) -> Tensor:
    """Logistic loss of the positive against each negative (BPR, arXiv:1205.2618)."""
    return F.softplus(scores[:, 1:] - scores[:, :1]).mean()


OBJECTIVES = {"listwise": listwise, "bce": bce, "mse": mse, "pairwise": pairwise}
