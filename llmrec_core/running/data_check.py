"""The sanity checks of a data set: of its split, and of families that learn it on demand.

The document is kept with the content of the data set (checks/check_files.py), where the Quality
page reads it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from llmrec_core.checks import check_files, sanity
from llmrec_core.checks.checked_families import OF_SPLIT, usual_families
from llmrec_core.contract.bounds import Name, Steps
from llmrec_core.contract.families import family_title
from llmrec_core.contract.parsing import Text, Whole, parse, parsed
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.dataset import Dataset
from llmrec_core.metrics.exam import Exam
from llmrec_core.profiling.timing import InsideClock, TimingWindow
from llmrec_core.recommenders.registry import build
from llmrec_core.running.grid import usual_run
from llmrec_core.settings import Settings


@parsed
class Plan:
    """What to check of a data set."""

    split: Text = "loo"
    candidates: Text = "100-uniform"
    families: tuple[Name, ...] = ()
    """None takes the classical ones, and words where items have titles."""
    users: Annotated[Whole, Field(ge=1, le=1_000_000)] = 400
    """Users asked."""
    steps: Steps = 120
    """Training steps of neural families, which train twice."""

    def families_for(self, dataset: Dataset) -> tuple[str, ...]:
        """The families that are checked on a data set."""
        return self.families or usual_families(dataset)


def check_and_keep(
    dataset: Dataset,
    settings: Settings,
    plan: Plan,
    *,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """Make the checks of a data set; the document is kept in place of an earlier one.

    Args:
        dataset: whose split is checked.
        settings: where backbones and the home are.
        plan: what to check.
        window: in which the machine is the check's alone, for a family at a time.
        progress: called before each family.

    Raises:
        UsageError: for an unknown family, and for a protocol that does not exist.
        UnsupportedError: when the data set lacks what the protocol needs.
    """
    clock = InsideClock(window)
    asked = {"split": plan.split, "candidates": plan.candidates, "users": plan.users}
    protocol = parse(ProtocolSpec, asked)
    exam = Exam.of(dataset, protocol)
    families = plan.families_for(dataset)
    found = [(OF_SPLIT, result) for result in sanity.check_split(exam)]
    with tempfile.TemporaryDirectory() as folder:
        for place, family in enumerate(families):
            progress(Step(done=place, total=len(families), phase=family_title(family)))
            make = partial(build, usual_run(family, plan.steps), settings=settings)
            with clock():
                results = sanity.check_recommender(make, exam, Path(folder))
            found += [(family, result) for result in results]
    body = {
        "data": dataset.name,
        "content_hash": dataset.content_hash,
        "protocol": protocol.name,
        "users": len(exam.cases),
        "rows": [{"subject": name, **dataclasses.asdict(result)} for name, result in found],
        "seconds": clock.inside_s,
    }
    check_files.write(body, settings)
    return body
