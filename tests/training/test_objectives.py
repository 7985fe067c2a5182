"""Losses against their definitions by hand, with groups that have fewer negatives than others."""

import math

import numpy as np
import pytest
import torch

from llmrec_core.training.objectives import OBJECTIVES


def test_objectives_by_hand():
    scores = torch.tensor([[2.0, 0.0, 1.0]])
    assert float(OBJECTIVES["listwise"].loss(scores, 1, None)) == pytest.approx(
        math.log(math.exp(2) + 1 + math.e) - 2
    )
    assert float(OBJECTIVES["pairwise"].loss(scores, 1, None)) == pytest.approx(
        (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    )
    assert float(OBJECTIVES["mse"].loss(scores, 1, None)) == pytest.approx((1 + 0 + 1) / 3)
    negatives = (math.log(2) + math.log1p(math.e)) / 2
    assert float(OBJECTIVES["bce"].loss(scores, 1, None)) == pytest.approx(
        (math.log1p(math.exp(-2)) + negatives) / 2
    )


def test_objectives_of_two_positives_are_means_over_each():
    scores = torch.tensor([[2.0, -1.0, 0.0, 1.0], [0.5, 0.25, -2.0, 3.0]])
    each = [scores[:, [place, 2, 3]] for place in (0, 1)]
    for name in ("listwise", "pairwise", "bce"):
        expected = sum(float(OBJECTIVES[name].loss(part, 1, None)) for part in each) / 2
        assert float(OBJECTIVES[name].loss(scores, 2, None)) == pytest.approx(expected), name


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_group_with_fewer_negatives_counts_as_if_it_stood_in_a_narrower_batch(name):
    objective = OBJECTIVES[name]
    full = torch.tensor([[2.0, -1.0, 0.5, 1.0]])
    short = torch.tensor([[0.5, 1.5, 99.0, float("nan")]])  # two of three negatives are padding
    real = np.array([[True] * 4, [True, True, False, False]])
    together = torch.cat((full, short.nan_to_num(7.0)))
    alone = [(full, real[:1]), (short[:, :2], real[1:, :2])]
    weights = [objective.weight(mask, 1) for _, mask in alone]
    expected = sum(
        float(objective.loss(scores, 1, None)) * weight
        for (scores, _), weight in zip(alone, weights, strict=True)
    ) / sum(weights)
    got = float(objective.loss(together, 1, torch.from_numpy(real)))
    assert got == pytest.approx(expected, rel=1e-6)
    assert objective.weight(real, 1) == pytest.approx(sum(weights))


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_mask_without_padding_changes_nothing(name):
    scores = torch.tensor([[2.0, -1.0, 0.5, 1.0], [0.5, 0.25, -2.0, 3.0]], requires_grad=True)
    gradients = []
    for real in (None, torch.ones_like(scores, dtype=torch.bool)):
        (gradient,) = torch.autograd.grad(OBJECTIVES[name].loss(scores, 2, real), scores)
        gradients.append(gradient)
    torch.testing.assert_close(gradients[0], gradients[1])
