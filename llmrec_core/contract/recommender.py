"""The one protocol that every family follows, and the further ones that say what some can do.

Whoever needs more than the five methods of `Recommender` asks with `isinstance`, for example
`isinstance(recommender, ServesInPrecision)`, and never looks for an attribute or a class's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from llmrec_core.types import Description, Measurement

if TYPE_CHECKING:
    import torch

    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.models.prompt_layout import PromptLayout
    from llmrec_core.models.scorer_model import ScorerModel
    from llmrec_core.settings import Settings
    from llmrec_core.training.loop import TrainingResult


Score = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
"""As `Recommender.score`."""


class Recommender(Protocol):
    """Scores candidates for users known only by their history."""

    def fit(self, split: Split, context: RunContext) -> None:
        """Learn from `split.train` alone; report curves and progress to `context`."""

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores, higher is better.

        Args:
            histories: one array of item codes a user, oldest first; may be empty.
            candidates: item codes, shape (batch, candidates); -1 is padding and scores -inf.

        Returns:
            float32, shape (batch, candidates).
        """

    def save(self, folder: Path) -> None:
        """Write all that `load` needs, in formats that hold no code (npz, safetensors, json)."""

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Parameters, bytes, and FLOPs by formula: the mean of these very requests.

        What is counted is what would be read: a history is cut as the model cuts it.

        Args:
            histories: as for `score`.
            candidates: as for `score`.
        """


class FamilyClass(Protocol):
    """What the `loader` of a family names: a class that makes and loads recommenders."""

    def of_spec(
        self, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Recommender:
        """A recommender to be fitted.

        Args:
            spec: the run's, already checked.
            dataset: what it will be fitted on.
            settings: where backbones stand.
            parent: model folder of the run that `spec.weights_from` names; None when it names none.

        Raises:
            UsageError: when the family cannot take over the weights of `parent`.
        """

    def load(self, folder: Path, dataset: Dataset) -> Recommender:
        """The recommender saved in `folder`; its scores equal those before saving."""


@runtime_checkable
class TrainsByGradient(Protocol):
    """A recommender whose weights `training` moves step by step."""

    result: TrainingResult | None
    """What the training came to; None before it."""


@runtime_checkable
class Prepares(Protocol):
    """A recommender of which a part has to be fitted before its untrained self can be measured."""

    def prepare(self, split: Split, context: RunContext) -> None:
        """Fit that part alone."""


@runtime_checkable
class ServesInPrecision(Protocol):
    """A recommender that is made fit for serving before its cost is measured."""

    def ready(self, precision: str = "fp32") -> None:
        """Merge what training added and put the weights into `precision`.

        Args:
            precision: number format of the weights, e.g. `fp32` or `int8`.

        Raises:
            UnsupportedError: when this device has no such precision or runtime.
        """


@runtime_checkable
class WrapsReader(Protocol):
    """A recommender around another one that reads what it lets through."""

    @property
    def inner(self) -> Recommender:
        """The one that reads; its training is the run's."""


@runtime_checkable
class Composed(Protocol):
    """A recommender made of others."""

    def parts(self) -> Sequence[Recommender]:
        """Those it is made of, itself left out."""


@runtime_checkable
class RereadsTitles(Protocol):
    """A recommender that can take other titles of the same items without being trained again."""

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """Take the titles of `dataset`, whose items have the same codes."""


@runtime_checkable
class RemembersHistories(Protocol):
    """A recommender that keeps what it computed for a history."""

    def forget_histories(self) -> None:
        """Answer the next request like that of a user seen for the first time."""


@runtime_checkable
class ReadsLatest(Protocol):
    """A recommender that reads the latest items of a history alone."""

    def reads(self, history: np.ndarray) -> int:
        """How many of the latest items of `history` can change a score.

        Args:
            history: item codes, oldest first.
        """


@runtime_checkable
class SumsItems(Protocol):
    """A recommender whose score is a sum over the items of a history, plus a constant.

    An item adds a weight of its own, times a decay for every item that follows it.
    """

    def item_decay(self) -> float:
        """The factor by which an item weighs less for every item that follows it."""


@runtime_checkable
class ReadsPrompts(Protocol):
    """A language model recommender, whose prompts can be taken apart."""

    dataset: Dataset
    model: ScorerModel

    @property
    def layout(self) -> PromptLayout:
        """How its prompts are put together."""


@runtime_checkable
class Neural(Protocol):
    """A recommender whose scores come from a model of torch; of a cascade, its reader's."""

    def network(self) -> torch.nn.Module:
        """The model."""

    def weights_version(self) -> tuple[object, ...]:
        """A value that changes whenever a weight of the model is written or replaced."""

    def with_network(self, network: torch.nn.Module) -> Recommender:
        """A copy of this recommender that scores with another model of the same shape."""


@runtime_checkable
class ServedElsewhere(Protocol):
    """A recommender whose model runs on its provider's machines, at the provider's price.

    Its requests are neither timed nor counted here: it knows what they took. It gives no reasons,
    as every coalition of them would be a prompt to pay, and is predicted on no other hardware.
    """

    def served_by(self) -> str:
        """Who answers, as a sentence names it."""

    def served_figures(self, protocol: str) -> list[Measurement]:
        """Cost figures of the requests scored so far.

        Args:
            protocol: that of one request, e.g. `request/100/batch-1`.
        """

    def served_seconds(self) -> list[float]:
        """Seconds of each request that was answered."""


@dataclass(frozen=True)
class ScorePart:
    """One of the recommenders whose scores make up the score of a list."""

    role: str
    """`reader` or `retriever` of a cascade; the family of a member of a fusion."""
    recommender: Recommender
    shares: np.ndarray
    """Its share in each candidate's score, float64 (candidates,): what validation chose."""
    weights: np.ndarray
    """What one unit of its own score adds to each candidate's, float64 (candidates,)."""


@dataclass(frozen=True)
class ListScore:
    """How the scores of one list come about.

    The score of candidate i is the sum over the parts of `weights[i]` times the part's own score of
    i, plus `offsets[i]`. The scale of the list (means and spreads over its candidates) is inside
    the weights and offsets.
    """

    parts: tuple[ScorePart, ...]
    offsets: np.ndarray
    """Constant of each candidate, float64 (candidates,)."""


@runtime_checkable
class ScoresLists(Protocol):
    """A recommender whose score of an item depends on the other candidates of the list."""

    def list_score(self, history: np.ndarray, candidates: np.ndarray) -> ListScore:
        """How `score` comes about for one history and its candidates, item codes (candidates,).

        Args:
            history: item codes, oldest first.
            candidates: item codes of the list, shape (candidates,).
        """


@runtime_checkable
class RoutesRequests(Protocol):
    """A recommender that answers some requests without the language model it wraps."""

    @property
    def has_gate(self) -> bool:
        """Whether it decides so at all; without a gate every request is read."""

    def routed(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Whether the language model reads each request, bool, (batch,).

        Args:
            histories: as for `Recommender.score`.
            candidates: as for `Recommender.score`.
        """


def routed_requests(
    recommender: Recommender, histories: Sequence[np.ndarray], candidates: np.ndarray
) -> np.ndarray | None:
    """As `RoutesRequests.routed`; None for a recommender that treats all requests alike.

    Args:
        recommender: fitted.
        histories: as for `Recommender.score`.
        candidates: as for `Recommender.score`.
    """
    if isinstance(recommender, RoutesRequests) and recommender.has_gate:
        return recommender.routed(histories, candidates)
    return None


@runtime_checkable
class HoldsList(Protocol):
    """A recommender that scores items of one list as they stand in it."""

    held_items: np.ndarray
    """Item codes of the list, shape (candidates,)."""


@runtime_checkable
class ReadsLists(Protocol):
    """A recommender that reads all candidates of a request together."""

    def held(self, candidates: np.ndarray) -> Recommender:
        """What scores items of this list, whatever else it is asked beside: it `HoldsList`.

        Args:
            candidates: item codes of the list, shape (candidates,).
        """


def reader_of(recommender: Recommender) -> Recommender:
    """The recommender itself, or the one that it wraps."""
    return recommender.inner if isinstance(recommender, WrapsReader) else recommender


def with_parts(recommender: Recommender) -> list[Recommender]:
    """The recommender and all that it is made of."""
    below = recommender.parts() if isinstance(recommender, Composed) else ()
    return [recommender, *(part for whole in below for part in with_parts(whole))]


def mean_items_read(histories: Sequence[np.ndarray], limit: int) -> float:
    """Mean number of items that a model reads which keeps the most recent ones.

    Args:
        histories: one array of item codes a request.
        limit: most items that are read; 0 reads all.

    >>> mean_items_read([np.zeros(2), np.zeros(9)], 4)  # (2 + 4) ÷ 2
    3.0
    """
    return float(np.mean([min(len(h), limit) if limit else len(h) for h in histories]))


def mean_candidates(candidates: np.ndarray) -> float:
    """Mean number of candidates of some requests (requests, N), padding (-1) left out.

    Args:
        candidates: item codes, shape (requests, N); -1 pads.
    """
    return float((candidates >= 0).sum(axis=1).mean())
