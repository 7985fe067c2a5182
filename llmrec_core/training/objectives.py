"""Losses over P positives (the first columns) and N negatives, scores of shape (groups, P + N)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def listwise(scores: Tensor, positives: int = 1) -> Tensor:
    """Softmax cross-entropy of each positive among itself and the negatives (ListNet with one relevant item), averaged."""
    others = scores[:, positives:].logsumexp(dim=-1, keepdim=True)
    return (torch.logaddexp(scores[:, :positives], others) - scores[:, :positives]).mean()


def _labels(scores: Tensor, positives: int) -> Tensor:
    labels = torch.zeros_like(scores)
    labels[:, :positives] = 1.0
    return labels


def bce(scores: Tensor, positives: int = 1) -> Tensor:
    """Negative log-likelihood of each pair's label; the positives of a group weigh as much as its negatives."""
    weights = torch.full_like(scores, 1.0 / max(scores.shape[1] - positives, 1))
    weights[:, :positives] = 1.0 / positives
    return F.binary_cross_entropy_with_logits(scores, _labels(scores, positives), weight=weights, reduction="sum") / (
        2 * len(scores)
    )


def mse(scores: Tensor, positives: int = 1) -> Tensor:
    """Squared error of the score against the label 1 or 0."""
    return F.mse_loss(scores, _labels(scores, positives))


def pairwise(scores: Tensor, positives: int = 1) -> Tensor:
    """Logistic loss of each positive against each negative (BPR, arXiv:1205.2618)."""
    return F.softplus(scores[:, None, positives:] - scores[:, :positives, None]).mean()


OBJECTIVES = {"listwise": listwise, "bce": bce, "mse": mse, "pairwise": pairwise}
