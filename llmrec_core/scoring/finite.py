"""A ranking of scores that are no numbers looks valid and is not: such scores are refused."""

from __future__ import annotations

import numpy as np

from llmrec_core.contract.spec import TrainingSpec
from llmrec_core.errors import NotFiniteError
from llmrec_core.language import t


def require_finite(
    scores: np.ndarray, real: np.ndarray | None = None, training: TrainingSpec | None = None
) -> np.ndarray:
    """The scores, if every one of them is a finite number.

    Args:
        scores: of any shape.
        real: False where a score does not count, e.g. at padding; of the same shape. None counts
            all of them.
        training: how the weights were trained, which the refusal then names.

    Raises:
        NotFiniteError: when one is NaN or infinite.
    """
    counted = scores if real is None else scores[real]
    broken = int(counted.size - np.isfinite(counted).sum())
    if not broken:
        return scores
    if training is None:
        raise NotFiniteError(
            t(
                "{broken} of {count} scores are no finite numbers: training diverged, the weights "
                "are damaged, or the precision is too low for them; train again with a lower "
                "training.learning_rate, or use fp32",
                broken=broken,
                count=counted.size,
            )
        )
    raise NotFiniteError(
        t(
            "training diverged: {broken} of {count} scores are no finite numbers after "
            "{steps} steps; lower training.learning_rate ({rate:g}) or set training.clip_norm "
            "({clip:g})",
            broken=broken,
            count=counted.size,
            steps=training.steps,
            rate=training.learning_rate,
            clip=training.clip_norm,
        )
    )
