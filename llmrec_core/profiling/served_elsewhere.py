"""The cost of a recommender whose model runs elsewhere: as its provider answered and charged.

It stands where `measure.CostMeter` stands for a model that is loaded here. There are no timing
windows: every request was timed when it was asked, once, and asking again would be paid again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import psutil

from llmrec_core.contract.recommender import Recommender, ServedElsewhere
from llmrec_core.profiling.economics import Economics
from llmrec_core.profiling.measure import DESCRIBED, CostMeter, evenly_mixed
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.types import Description, Measurement, Samples


class Meter(Protocol):
    """Measures what the requests of a fitted recommender cost."""

    def run(self, number: int) -> None:
        """Time window `number`."""

    def describe(self) -> Description:
        """What the requests cost by formula."""

    def measurements(
        self, peaks: Peaks, economics: Economics, counted: tuple[float | None, str]
    ) -> list[Measurement]:
        """All cost rows of the record."""

    def samples(self) -> list[Samples]:
        """Raw seconds."""

    def windows(self) -> list[dict[str, Any]]:
        """The timing windows, without their samples."""


class ServedMeter:
    """Reads the costs of requests that somebody else's machines answered.

    Args:
        served: the same recommender, which knows what they took.
        recommender: whose part on this machine is described.
        histories: one array of item codes a request.
        candidates: item codes, shape (requests, N).
    """

    def __init__(
        self,
        served: ServedElsewhere,
        recommender: Recommender,
        histories: Sequence[np.ndarray],
        candidates: np.ndarray,
    ) -> None:
        self._served, self._recommender = served, recommender
        self._histories, self._candidates = histories, candidates

    @property
    def protocol(self) -> str:
        """What names a request of the study, one at a time."""
        return f"request/{self._candidates.shape[1]}/batch-1"

    def run(self, number: int) -> None:
        """Nothing: a request is timed when it is asked."""

    def describe(self) -> Description:
        """As `CostMeter.describe`: what is computed on this machine."""
        return self._recommender.describe(self._histories[:DESCRIBED], self._candidates[:DESCRIBED])

    def measurements(
        self, peaks: Peaks, economics: Economics, counted: tuple[float | None, str]
    ) -> list[Measurement]:
        """The provider's figures, with the memory that asking takes here.

        Args:
            peaks: of this machine, which say nothing about the provider's.
            economics: price of this machine, which is not the provider's either.
            counted: operations that were seen here.
        """
        memory_bytes = float(psutil.Process().memory_info().rss)
        return [
            *self._served.served_figures(self.protocol),
            Measurement("peak_memory_bytes", memory_bytes, "B", protocol="run"),
        ]

    def samples(self) -> list[Samples]:
        """Raw seconds of every request that was answered."""
        return [Samples("latency_s", self._served.served_seconds(), protocol=self.protocol)]

    def windows(self) -> list[dict[str, Any]]:
        """None."""
        return []


def meter_of(
    recommender: Recommender,
    histories: Sequence[np.ndarray],
    candidates: np.ndarray,
    k: int,
    *,
    precision: str,
    keep: Callable[[Sequence[np.ndarray], np.ndarray, np.ndarray], None],
) -> Meter:
    """What measures this recommender: a clock here, or its provider's answers.

    Args:
        recommender: fitted.
        histories: one array of item codes a request.
        candidates: item codes, shape (requests, N).
        k: length of a list.
        precision: of the weights that are loaded here.
        keep: is given histories, candidates and scores of what is timed here.
    """
    if isinstance(recommender, ServedElsewhere):
        return ServedMeter(recommender, recommender, histories, candidates)
    histories, candidates = evenly_mixed(recommender, histories, candidates)
    return CostMeter(recommender, histories, candidates, k, precision=precision, keep=keep)
