"""What rows are chosen and compared by: a metric, the people asked, and the prices in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading.comparison import difference, distinguishable
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import NOBODY, People
from llmrec_core.reading.pricing import AS_RECORDED, Pricing
from llmrec_core.reading.row import Row


@dataclass(frozen=True)
class Question:
    """What is chosen by: a metric of some users under a protocol, and the prices in force."""

    metric: str
    protocol: str
    users: Mapping[str, People]
    """Values of the metric by run id, for paired intervals."""
    pricing: Pricing = AS_RECORDED
    slice: str = "all"
    only: Sequence[int] | None = None
    """User codes of the slice, when it is not "all"."""

    @property
    def title(self) -> str:
        """The metric as a reader calls it."""
        return METRICS.get(self.metric, self.metric)

    def value(self, row: Row) -> float:
        """The metric of a row that has it."""
        return row.figure(self.metric, self.protocol, self.slice).value or 0.0

    def difference(self, a: Row, b: Row) -> Difference | None:
        """Paired difference a − b; `None` when too few people are shared."""
        first, second = (self.users.get(row.run_id, NOBODY) for row in (a, b))
        return difference(first, second, self.only)

    def tied(self, a: Row, b: Row) -> bool:
        """Whether the two were compared and cannot be told apart."""
        gap = self.difference(a, b)
        return gap is not None and not distinguishable(gap)
