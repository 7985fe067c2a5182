"""Training that left the numbers: found at the step where it happens, and told as what it is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from llmrec_core.contract.spec import TrainingSpec
from llmrec_core.errors import NotFiniteError
from llmrec_core.language import marked, t

LOSS = marked("the loss")
GRADIENT = marked("the gradient")
WEIGHTS = marked("a weight")
SCORES = marked("a score of the validation")


def diverged(what: str, step: int, rate: float, spec: TrainingSpec) -> NotFiniteError:
    """The error that ends a training.

    Args:
        what: what is no finite number, one of this module's constants.
        step: number of the step, from 0.
        rate: learning rate of that step.
        spec: of the training.
    """
    return NotFiniteError(
        t(
            "training diverged: {what} is no finite number at step {step} of {steps}, where the "
            "learning rate was {rate:.3g}; lower training.learning_rate ({peak:g}) or set "
            "training.clip_norm ({clip:g})",
            what=t(what),
            step=step + 1,
            steps=spec.steps,
            rate=rate,
            peak=spec.learning_rate,
            clip=spec.clip_norm,
        )
    )


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every element of every tensor is a finite number."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
