"""A row of a label curve: what one method reaches after so many labels, and what that cost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CurveRow:
    """One method after one number of labels."""

    method: str
    """What people read of it."""
    labels: int
    value: float
    """Mean over the draws."""
    low: float
    high: float
    seeds: list[float]
    """The value of each draw."""
    spread: float | None
    """Standard deviation over the draws; None for a single one."""
    train_s: float
    train_usd: float | None
    """None where the machine has no price."""

    def to_dict(self) -> dict[str, Any]:
        """The row as the document of a curve holds it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class PairRow(CurveRow):
    """One method after so many labelled pairs; its value is AUC."""

    low_users: float
    """Of the interval over people; `low` and `high` are of the one over pairs."""
    high_users: float
    gauc: float
    log_loss: float
    """Nats a pair."""
    calibration_error: float
    gain_over_like_rate: list[float]
    """Difference in AUC with both ends of its interval."""
