"""Records and column names that every part shares. No torch, no pandas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from llmrec_core.language import t

SplitName = Literal["loo", "time", "loo-cold-items", "loo-cold-users"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
"""Ways to part a data set into training, validation and test: data/splits.py."""
RepeatRule = Literal["first", "last", "all"]
REPEATS: tuple[RepeatRule, ...] = get_args(RepeatRule)
"""Which events of a repeated item a model reads: data/history.py."""
GIVEN_ITEMS = 20
"""Items taken of a published candidate list: LLMRank's recall_budget (arXiv:2305.08845)."""


class Columns:
    """Column names of the tables of a data set."""

    USER = "user"  # contiguous code, 0 … users-1
    ITEM = "item"  # contiguous code, 0 … items-1
    RATING = "rating"
    TIME = "timestamp"  # seconds since 1970
    USER_ID = "user_id"  # as in the file, a string
    ITEM_ID = "item_id"
    TITLE = "title"
    GENRES = "genres"  # "Action|Sci-Fi"
    YEAR = "year"


@dataclass(frozen=True)
class Measurement:
    """One figure of a run record.

    An unknown value is `value=None` with a `reason`, never 0 or NaN.
    """

    name: str
    value: float | None
    unit: str
    low: float | None = None  # 95 % interval
    high: float | None = None
    n: int | None = None  # users, repetitions or windows behind the value
    slice: str = "all"
    protocol: str = ""  # "loo/100-uniform" for quality, "request/100/batch-1" for cost
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError(
                t("measurement {name!r} has no value: say why in reason=", name=self.name)
            )
        if self.value is not None and self.value != self.value:
            raise ValueError(
                t("measurement {name!r} is NaN: pass value=None and a reason", name=self.name)
            )


@dataclass(frozen=True)
class Samples:
    """Raw values behind a measurement: latencies, or a metric per user (keys = user codes)."""

    name: str
    values: list[float]
    keys: list[int] = field(default_factory=list)
    protocol: str = ""


@dataclass(frozen=True)
class Description:
    """What a fitted recommender is and costs by formula.

    `flops_per_request(history_tokens_or_items, candidates)` is evaluated by the caller; here are
    the values for the study's mean request.
    """

    parameters: int
    trainable_parameters: int
    weight_bytes: int
    flops_per_request: float
    notes: dict[str, Any] = field(default_factory=dict)
