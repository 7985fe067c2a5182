"""The recommenders that have a say in a score, and those that cannot be asked for reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmrec_core.contract.recommender import (
    ReadsLatest,
    Recommender,
    ServedElsewhere,
)
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t


@dataclass(frozen=True)
class Part:
    """A recommender that has a say in the score."""

    role: str
    """Its role in the score of the list; empty for a recommender that scores by itself."""
    recommender: Recommender
    reads: int
    """How many of the latest history items it reads."""


def require_scored_here(recommender: Recommender) -> None:
    """Refuse a hosted model before anything of it is asked for.

    Raises:
        UnsupportedError: saying why it gives no reasons.
    """
    if isinstance(recommender, ServedElsewhere):
        raise UnsupportedError(
            t(
                "{model} gives no reasons: each of the many shortened histories that a reason is "
                "computed from would be a prompt to pay, and what comes back is an order without "
                "scores. Ask the run of a model that is loaded here",
                model=recommender.served_by(),
            )
        )


def items_read(recommender: Recommender, history: np.ndarray) -> int:
    """How many of the latest items of a history can change a score.

    Args:
        recommender: whose scores they are.
        history: item codes, oldest first.
    """
    return recommender.reads(history) if isinstance(recommender, ReadsLatest) else len(history)
