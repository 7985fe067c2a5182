"""A cheap retriever picks K candidates, an expensive reader orders them: how large models serve."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.recommender import (
    ListScore,
    Neural,
    ReadsLists,
    Recommender,
    ScorePart,
    mean_candidates,
)
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, stored_run
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.recommenders.fusion import moments, standardise
from llmrec_core.recommenders.gate import Gate
from llmrec_core.recommenders.gate_learning import learned_gate
from llmrec_core.recommenders.readers import Reader
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.training.validation import validator
from llmrec_core.types import Description

if TYPE_CHECKING:
    import torch

    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Reader's share of the blended score that validation chooses from; 1 lets the reader decide."""
ROUTED_AT_ONCE = 64
"""Requests whose candidates are scored together to tell which are read."""
Both = Callable[[Sequence[np.ndarray], np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The retriever's scores and the reader's, as `Cascade._both`."""


class Cascade:
    """The retriever's top K in the reader's order, or in that of a blend learned on validation.

    What the reader did not read stays below, as retrieved; that is everything of a request which a
    gate keeps from the reader.

    Args:
        spec: the run's.
        retriever: scores every candidate.
        reader: scores the retriever's top K.
        reader_is_trained: the reader has another run's weights, which `fit` leaves as they are.
    """

    def __init__(
        self, spec: RunSpec, retriever: Recommender, reader: Recommender, *, reader_is_trained: bool
    ) -> None:
        self.spec = spec
        self.retriever, self.reader = retriever, reader
        self.reader_is_trained = reader_is_trained
        self.weight = 1.0
        self.gate: Gate | None = None

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Cascade:
        """A cascade over another run's reader, or over one of its own that it trains.

        Raises:
            UsageError: for the family `cascade` without another run's weights.
        """
        chosen = spec.recommender
        if parent is None and chosen.family == "cascade":
            raise UsageError(
                t(
                    "recommender.family 'cascade' reads with another run's weights; name that run "
                    "in weights_from"
                )
            )
        if parent is None:
            reader = family_class(chosen.family).of_spec(spec, dataset, settings, None)
        else:
            reader = Reader.of_spec(spec, dataset, settings, parent)
        retriever = build(_retriever_spec(spec), dataset, settings)
        return cls(spec, retriever, reader, reader_is_trained=parent is not None)

    @property
    def inner(self) -> Recommender:
        """As `WrapsReader.inner`."""
        return self.reader

    def parts(self) -> list[Recommender]:
        """As `Composed.parts`."""
        return [self.retriever, self.reader]

    def prepare(self, split: Split, context: RunContext) -> None:
        """Fit the retriever alone, so that the reader can be judged before it is trained."""
        self.retriever.fit(split, context)

    def fit(self, split: Split, context: RunContext) -> None:
        """Fit the retriever, train the reader unless it is trained, learn the blend and the gate.

        Raises:
            DataError: when there are too few validation people to learn from.
            RunError: when the run is asked to stop while the gate is learned.
        """
        self.prepare(split, context)
        if not self.reader_is_trained:
            self.reader.fit(split, context)
        chosen = self.spec.recommender
        both: Both = self._both
        self.gate = None  # learned from requests that are all read
        if chosen.blend == "validation":
            both = _remembering(both)
            self._learn_blend(split, context, both)
        if chosen.gate == "validation":
            self._learn_gate(split, context, both)

    def _learn_blend(self, split: Split, context: RunContext, both: Both) -> None:
        """Take the reader's share with the best validation NDCG; each batch is read once."""

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            return self._blend(*both(histories, candidates))

        validate = validator(split, score, self.spec)
        by_weight = []
        for weight in WEIGHTS:
            self.weight = weight
            by_weight.append(validate())
            context.curve("blend_valid_ndcg@10", round(weight * 100), by_weight[-1])
        self.weight = WEIGHTS[int(np.argmax(by_weight))]
        context.log(
            t(
                "blend: reader's share {weight} (validation NDCG {ndcg:.4f})",
                weight=self.weight,
                ndcg=max(by_weight),
            )
        )

    def _learn_gate(self, split: Split, context: RunContext, both: Both) -> None:
        """Learn on validation people whose requests the reader has to read."""

        def read(
            histories: Sequence[np.ndarray], candidates: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            cheap, scores = both(histories, candidates)
            return self._blend(cheap, scores), *self._best(cheap, *self._picked(cheap, candidates))

        self.gate = learned_gate(split, self.spec, context, read, self.retriever.score)

    @property
    def has_gate(self) -> bool:
        """As `RoutesRequests.has_gate`."""
        return self.gate is not None

    def routed(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `RoutesRequests.routed`."""
        parts = [np.zeros(0, dtype=bool)]
        for start in range(0, len(histories), ROUTED_AT_ONCE):
            some = slice(start, start + ROUTED_AT_ONCE)
            cheap = np.asarray(self.retriever.score(histories[some], candidates[some]), np.float64)
            picked = self._picked(cheap, candidates[some])
            parts.append(self._reads(cheap, *picked, histories[some]))
        return np.concatenate(parts)

    def _reads(
        self,
        cheap: np.ndarray,
        top: np.ndarray,
        picked: np.ndarray,
        histories: Sequence[np.ndarray],
    ) -> np.ndarray:
        """Whether the reader reads each request, bool, (batch,); places and items as `_picked`."""
        if self.gate is None:
            return np.ones(len(histories), dtype=bool)
        return self.gate.reads(*self._best(cheap, top, picked), histories)

    def _best(
        self, cheap: np.ndarray, top: np.ndarray, picked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The retriever's best scores and their items, (batch, K) each."""
        return np.take_along_axis(cheap, top, 1), picked

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""
        return self._blend(*self._both(histories, candidates))

    def _both(
        self, histories: Sequence[np.ndarray], candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The retriever's scores and the reader's, NaN where it did not read.

        Returns:
            Two arrays, float64, shape (batch, candidates).
        """
        cheap = np.asarray(self.retriever.score(histories, candidates), dtype=np.float64)
        read = np.full(candidates.shape, np.nan)
        top, picked = self._picked(cheap, candidates)
        rows = np.flatnonzero(self._reads(cheap, top, picked, histories)).tolist()
        if rows:
            scores = self.reader.score([histories[row] for row in rows], picked[rows])
            read[np.array(rows)[:, None], top[rows]] = np.where(np.isfinite(scores), scores, np.nan)
        return cheap, read

    def _picked(self, cheap: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of the retriever's best, and their item codes, -1 where it has no score.

        Returns:
            Two arrays of shape (batch, rerank_k), with fewer columns for fewer candidates.
        """
        keep = min(self.spec.recommender.rerank_k, candidates.shape[1])
        # Among equals the item code decides, never the place: sampled candidates begin with the
        # withheld item, which ties would let in and show to a reader of whole lists.
        top = np.lexsort((candidates, -cheap), axis=1)[:, :keep]
        scored = np.isfinite(np.take_along_axis(cheap, top, 1))
        return top, np.where(scored, np.take_along_axis(candidates, top, 1), -1)

    def _blend(self, cheap: np.ndarray, read: np.ndarray) -> np.ndarray:
        was_read = ~np.isnan(read)
        unread = np.isfinite(cheap) & ~was_read
        mixed = self._mixed(cheap, read, was_read)
        below = standardise(cheap, unread) + _shift(mixed, was_read, cheap, unread)
        return np.where(was_read, mixed, np.where(unread, below, -np.inf)).astype(np.float32)

    def _mixed(self, cheap: np.ndarray, read: np.ndarray, was_read: np.ndarray) -> np.ndarray:
        """Scores of what the reader read, in standard deviations of those."""
        ours = self.weight * standardise(read, was_read)
        return ours + (1 - self.weight) * standardise(cheap, was_read)

    def list_score(self, history: np.ndarray, candidates: np.ndarray) -> ListScore:
        """How `score` comes about for one history and its candidates, item codes (candidates,).

        What the reader did not read is scored by the retriever alone, below everything it read.
        """
        cheap, read = self._both([history], candidates[None])
        was_read = ~np.isnan(read)
        unread = np.isfinite(cheap) & ~was_read
        mixed = self._mixed(cheap, read, was_read)
        of_reader = self.reader
        if isinstance(of_reader, ReadsLists):
            picked = self._picked(cheap, candidates[None])[1][0]
            of_reader = of_reader.held(picked[picked >= 0])
        reader, reader_offsets = _affine(read, was_read, self.weight)
        retriever, retriever_offsets = _affine(cheap, was_read, 1 - self.weight)
        alone, alone_offsets = _affine(cheap, unread, 1.0)
        below = np.where(unread, _shift(mixed, was_read, cheap, unread), 0.0)
        return ListScore(
            (
                ScorePart("reader", of_reader, np.where(was_read[0], self.weight, 0.0), reader[0]),
                ScorePart(
                    "retriever",
                    self.retriever,
                    np.where(was_read[0], 1 - self.weight, 1.0),
                    (retriever + alone)[0],
                ),
            ),
            (reader_offsets + retriever_offsets + alone_offsets + below)[0],
        )

    def network(self) -> torch.nn.Module:
        """The reader's model."""
        return self._neural_reader().network()

    def weights_version(self) -> tuple[object, ...]:
        """A value that changes whenever a weight of the reader is written or replaced."""
        return self._neural_reader().weights_version()

    def with_network(self, network: torch.nn.Module) -> Cascade:
        """A copy of this cascade whose reader scores with another model of the same shape."""
        other = copy.copy(self)
        other.reader = self._neural_reader().with_network(network)
        return other

    def _neural_reader(self) -> Neural:
        if not self.weight or (self.gate is not None and self.gate.outcome == "never"):
            raise UnsupportedError(
                t(
                    "the language model has no say in this cascade's lists: its layers change "
                    "nothing"
                )
            )
        if not isinstance(self.reader, Neural):
            raise UnsupportedError(t("the reader of this cascade is no neural model"))
        return self.reader

    def save(self, folder: Path) -> None:
        """Write retriever and reader into folders of their own, the blend and the gate."""
        self.retriever.save(folder / "retriever")
        self.reader.save(folder / "reader")
        state = {"weight": self.weight, "spec": self.spec.to_dict()}
        if self.gate is not None:
            state["gate"] = self.gate.save(folder)
        write_json(folder / "cascade.json", state)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> Cascade:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: when a part is missing or damaged.
        """
        state = json.loads((folder / "cascade.json").read_text(encoding="utf-8"))
        spec = stored_run(state["spec"])
        retriever = family_class(spec.recommender.retriever).load(folder / "retriever", dataset)
        reader = Reader.load(folder / "reader", dataset, settings)
        loaded = cls(spec, retriever, reader, reader_is_trained=True)
        loaded.weight = state["weight"]
        if "gate" in state:
            loaded.gate = Gate.load(folder, state["gate"], dataset)
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """The retriever's costs and those of the reader on what the retriever picks.

        Behind a gate, operations are the mean of the requests that are read and those that are not;
        the reader's parameters and bytes are loaded whether it reads or not.
        """
        chosen = self.spec.recommender
        cheap = self.retriever.describe(histories, candidates)
        scores = np.asarray(self.retriever.score(histories, candidates), dtype=np.float64)
        top, picked = self._picked(scores, candidates)
        reads = self._reads(scores, top, picked, histories)
        rows = np.flatnonzero(reads).tolist() or [0]  # one tells the sizes where none is read
        read = self.reader.describe([histories[row] for row in rows], picked[rows])
        flops = cheap.flops_per_request + reads.mean() * read.flops_per_request
        notes = {
            **read.notes,
            "retriever": chosen.retriever,
            "rerank_k": chosen.rerank_k,
            "blend": self.weight,
        }
        if self.gate is not None:
            flops += self.gate.flops(mean_candidates(picked))
            notes |= {"gate": self.gate.outcome, "requests_read": float(reads.mean())}
        return Description(
            cheap.parameters + read.parameters,
            read.trainable_parameters,
            cheap.weight_bytes + read.weight_bytes,
            float(flops),
            notes,
        )


def _remembering(both: Both) -> Both:
    """The same scores, each batch computed once."""
    remembered: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def scores(
        histories: Sequence[np.ndarray], candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        batch = b"".join((*(history.tobytes() for history in histories), candidates.tobytes()))
        if batch not in remembered:
            remembered[batch] = both(histories, candidates)
        return remembered[batch]

    return scores


def _retriever_spec(spec: RunSpec) -> RunSpec:
    """The run of the retriever, which comes as its family does, with nothing borrowed."""
    return dataclasses.replace(
        spec, recommender=RecommenderSpec(family=spec.recommender.retriever), weights_from=""
    )


def _shift(
    mixed: np.ndarray, was_read: np.ndarray, cheap: np.ndarray, unread: np.ndarray
) -> np.ndarray:
    """What puts everything that was not read below everything that was, (requests, 1)."""
    floor = np.where(was_read, mixed, np.inf).min(axis=1, keepdims=True)
    ceiling = np.where(unread, standardise(cheap, unread), -np.inf).max(axis=1, keepdims=True)
    return np.where(np.isfinite(floor) & np.isfinite(ceiling), floor - ceiling - 1.0, 0.0)


def _affine(scores: np.ndarray, where: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets that make `share` of the standardised scores, and 0 elsewhere.

    Returns:
        Two arrays, shape (requests, N).
    """
    mean, spread = moments(scores, where)
    weights = np.where(where, share / np.where(spread > 0, spread, np.inf), 0.0)
    return weights, -weights * mean
