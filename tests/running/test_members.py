"""What a run writes about who is in which slice, and which seconds count as training."""

import numpy as np

from llmrec_core.contract.run_context import RunContext
from llmrec_core.data.splits import split
from llmrec_core.metrics.exam import Exam
from llmrec_core.profiling.economics import Economics
from llmrec_core.running import execute
from tests.metrics.test_facets import dataset


def test_slices_and_facets_name_the_users(tmp_path):
    parts_of_data = split(dataset(), "loo")
    context = RunContext(tmp_path)
    execute._members(Exam.on(parts_of_data, parts_of_data.test, "full", 0, 0), context)
    slices, facets = context.documents["slices"], context.documents["facets"]
    assert set(slices) == {"rare items", "cold items", "short histories"}
    assert slices["short histories"] == [case.user for case in parts_of_data.test]
    assert facets["users"] == [case.user for case in parts_of_data.test]
    assert all(
        len(facet["groups"]) == len(parts_of_data.test) for facet in facets["facets"].values()
    )


class Asked(RunContext):
    """A context whose clock leaves out what was given to questions."""

    ticks = 0.0

    @property
    def clock(self) -> float:
        return self.ticks


class Slow:
    """Fits for three seconds of the context's clock."""

    def fit(self, parts, context):
        context.ticks += 3.0


def test_training_seconds_are_those_of_the_contexts_clock(tmp_path):
    context = Asked(tmp_path)
    price = Economics(3600.0, "a test", "2026-11-24", 0.5, 400.0, "a test", "2026", 1e6)
    parts_of_data = split(dataset(), "loo")
    execute._fit(Slow(), Exam.on(parts_of_data, parts_of_data.test, "full", 0, 0), context, price)
    found = {row.name: row.value for row in context.measurements}
    assert found["train_s"] == 3.0
    assert np.isclose(found["train_usd"], 3.0)
