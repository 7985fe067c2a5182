"""What a trained run loses when equal times are put in another order and it is trained again.

The stored weights have learned the order of the file, and another order may withhold an item that
they were trained on. So the recipe of the run is trained anew on each order, as the models without
training are fitted anew, and each training is asked on its own order.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.checks.diagnosis.diagnose import figure, of_difference
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.diagnosis import Shuffled
from llmrec_core.data.ties import shuffled_ties, tied_neighbours
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.seeds import group_difference
from llmrec_core.reading.people import People, of_sample
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings

DOCUMENT = "shuffled ties"
METRIC = "ndcg@10"
SCORED_AT_ONCE = 256
"""People scored together; whole catalogues take fewer (`per_user`)."""


@dataclasses.dataclass(frozen=True)
class TrainedAgain:
    """A run as it is, and its recipe trained on other orders of equal times."""

    run: str
    name: str
    protocol: str
    draws: int
    """Orders that were drawn, each with a training of its own."""
    ties: Shuffled

    def to_dict(self) -> dict[str, Any]:
        """The document of the run's record."""
        return dataclasses.asdict(self) | {"ties": self.ties.model_dump(mode="json")}


def trained_again(
    run_id: str,
    ledger: Ledger,
    settings: Settings,
    *,
    draws: int = 1,
    progress: Progress = unnoted,
) -> TrainedAgain:
    """Train a finished run's recipe on redrawn orders of equal times; kept in its record.

    Args:
        run_id: of the run.
        ledger: where its record is.
        settings: where data sets and backbones stand.
        draws: orders, each trained once.
        progress: called before each training.

    Raises:
        UsageError: when the run is unknown or holds no values of its people.
        UnsupportedError: when no training of it depends on the order of equal times.
    """
    run = ledger.run(run_id)
    spec = stored_run(run.spec)
    dataset = load_dataset(spec.data.name, settings, spec.data.content_hash)
    _require_ties(spec, dataset)
    protocol = f"{spec.protocol.split}/full" if spec.protocol.also_full else spec.protocol.name
    as_is = of_sample(ledger.samples(run_id, METRIC, protocol))
    if not len(as_is):
        raise UsageError(
            t(
                "run {run_id} is {state} and holds no {metric} of single people under {protocol}; "
                "name a finished run",
                run_id=run_id,
                state=run.state,
                metric=METRIC,
                protocol=protocol,
            )
        )
    drawn = []
    for seed in range(draws):
        phase = t("{name} is trained on another order of equal times", name=run.name)
        progress(Step(done=seed, total=draws, phase=phase))
        drawn.append(_values(spec, shuffled_ties(dataset, seed), protocol, settings))
    again = TrainedAgain(run_id, run.name, protocol, draws, _compared(run.name, as_is, drawn))
    ledger.add_document(run_id, DOCUMENT, again.to_dict())
    return again


def _require_ties(spec: RunSpec, dataset: Dataset) -> None:
    if spec.weights_from:
        raise UnsupportedError(
            t(
                "it is made from the run {weights_from!r}; name that one",
                weights_from=spec.weights_from,
            )
        )
    if spec.protocol.split == "time" or not tied_neighbours(dataset).count:
        raise UnsupportedError(
            t(
                "no order of equal times decides anything in {name!r} under {split}; there is "
                "nothing to draw anew",
                name=dataset.name,
                split=spec.protocol.split,
            )
        )


def _values(spec: RunSpec, dataset: Dataset, protocol: str, settings: Settings) -> People:
    """Train on a data set; NDCG@10 of its own exam, person by person."""
    exam = Exam.of(dataset, spec.protocol)
    recommender = build(spec, dataset, settings)
    with tempfile.TemporaryDirectory() as folder:
        recommender.fit(exam.split, RunContext(Path(folder)))
    values = per_user(
        recommender.score,
        exam.split,
        exam.cases,
        "full" if protocol.endswith("/full") else exam.candidates,
        seed=spec.protocol.seed,
        batch=SCORED_AT_ONCE,
    )[METRIC]
    return People(tuple(case.user for case in exam.cases), values[None])


def _compared(name: str, as_is: People, drawn: list[People]) -> Shuffled:
    """The loss over the people asked before and after, and over the orders."""
    users = set(as_is.users).intersection(*(people.users for people in drawn))
    before = as_is.only(users).values
    after = np.concatenate([people.only(users).values for people in drawn])
    return Shuffled(
        model=name,
        as_is=figure(before[0]),
        shuffled=float(after.mean()),
        loss=of_difference(group_difference(before, after)),
    )
