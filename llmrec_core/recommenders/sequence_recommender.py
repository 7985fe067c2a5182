"""What recommenders share that read a person's latest items with a trained sequence model."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.families import family_title
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.errors import CheckpointError, UsageError
from llmrec_core.language import t
from llmrec_core.models.devices import pick_device
from llmrec_core.models.weights_version import weights_version
from llmrec_core.recommenders.options import refuse_weights
from llmrec_core.training.checkpoints import read_folder, write_folder
from llmrec_core.training.loop import TrainingResult, train
from llmrec_core.training.validation import validator
from llmrec_core.training.windows import Windows, WindowSampler

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

WIDTH, LAYERS, HEADS = 64, 2, 2
SHAPE = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "ahead": 1, "in_epochs": 0}
"""`ahead`: a place's target is drawn from the next so many items; 1 takes the very next.

More helps where order is noisy, as when people rate a page of films in one go.
"""
MOST_OF_CATALOGUE = 8
"""From one item in so many on, the whole catalogue is scored and the candidates are taken of it."""
Network = TypeVar("Network", bound=torch.nn.Module)


class SequenceRecommender(ABC, Generic[Network]):
    """Reads options, trains, keeps and loads a model; families say what it is and how it scores."""

    defaults: ClassVar[Mapping[str, int]] = SHAPE
    """Whole options of the family, with what they are where a spec does not say."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; weights are made by `fit` or `load`.

        Raises:
            UsageError: when the heads do not divide the width.
        """
        self.spec, self.dataset, self.settings = spec, dataset, settings
        self.length = spec.recommender.history_items
        self.device = pick_device(spec.device)
        given = spec.recommender.options
        self.options = {name: int(given.get(name, value)) for name, value in self.defaults.items()}
        width, heads = self.options["width"], self.options["heads"]
        if width % heads:
            raise UsageError(
                t(
                    "recommender.options.width {width} contradicts heads {heads}: every head takes "
                    "an equal share of the width",
                    width=width,
                    heads=heads,
                )
            )
        self.model: Network | None = None
        self.result: TrainingResult | None = None

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Self:
        """As `FamilyClass.of_spec`; it takes no weights over."""
        refuse_weights(spec, parent)
        return cls(spec, dataset, settings)

    @abstractmethod
    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""

    @abstractmethod
    def _untrained(self) -> Network:
        """The model before training."""

    @abstractmethod
    def _of_stored(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> Network:
        """A model of the shape that `weights` in a model's folder have, which are put into it.

        Args:
            tensors: by file of the folder: `weights`, and those of `_beside`.
        """

    @abstractmethod
    def _forget(self) -> None:
        """Drop what was computed from weights that are no longer there."""

    def _beside(self) -> dict[str, dict[str, Tensor]]:
        """Tensors that a model's folder holds beside the weights, by file."""
        return {}

    def _sampler(self, split: Split, negatives: int = 0) -> WindowSampler:
        """What draws the training windows.

        Args:
            split: whose training sequences are read.
            negatives: items that are drawn beside the targets of a batch.
        """
        return WindowSampler(
            split.train,
            length=self.length,
            padding=self.dataset.n_items,
            seed=self.spec.seed,
            ahead=self.options["ahead"],
            in_epochs=bool(self.options["in_epochs"]),
            negatives=negatives,
        )

    def _train(
        self,
        model: Network,
        sampler: WindowSampler,
        mean: Callable[[Windows], Tensor],
        weight: Callable[[Windows], float],
        split: Split,
        context: RunContext,
    ) -> None:
        """Train the model on what the sampler draws; its best weights stay in it.

        Args:
            model: what `score` asks.
            sampler: of the training windows.
            mean: loss of some windows.
            weight: what that mean is over.
            split: whose validation cases choose the weights.
            context: of the run.
        """
        training = self.spec.training

        @lru_cache(maxsize=training.accumulate)
        def windows(number: int) -> Windows:
            return sampler.draw(number, training.batch_histories)

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            self._forget()
            return self.score(histories, candidates)

        self.result = train(
            model,
            lambda number: mean(windows(number)),
            training,
            context,
            seed=self.spec.seed,
            weight_at=lambda number: weight(windows(number)),
            validate=validator(split, score, self.spec),
        )
        self._forget()

    def _scores_all(self, offered: int) -> bool:
        """Whether so many candidates are taken from the scores of the whole catalogue."""
        return offered * MOST_OF_CATALOGUE >= self.dataset.n_items

    def _read(self, histories: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The most recent items of each history, right-padded, and how many those are."""
        lengths = np.array([min(len(history), self.length) for history in histories])
        width = max(int(lengths.max(initial=0)), 1)
        sequences = np.full((len(histories), width), self.dataset.n_items, dtype=np.int64)
        for row, history in zip(sequences, histories, strict=True):
            recent = np.asarray(history, dtype=np.int64)[-self.length :]
            row[: len(recent)] = recent
        return sequences, lengths

    def reads(self, history: np.ndarray) -> int:
        """How many of the latest items of `history` can change a score."""
        return min(len(history), self.length)

    def network(self) -> Network:
        """The model that scores."""
        if self.model is None:
            self.model = self._untrained()
        return self.model

    def weights_version(self) -> tuple[object, ...]:
        """A value that changes whenever a weight of the model is written or replaced."""
        return weights_version(self.network())

    def with_network(self, network: Network) -> Self:
        """A copy of this recommender that scores with another model of the same shape."""
        other = copy.copy(self)
        other.model = network
        other._forget()
        return other

    def save(self, folder: Path) -> None:
        """Write weights and spec; see `Recommender.save`.

        Raises:
            CheckpointError: when nothing was fitted.
        """
        if self.model is None:
            raise CheckpointError(
                t(
                    "{family} has no weights yet; fit it before saving",
                    family=family_title(self.spec.recommender.family),
                )
            )
        state = {"spec": self.spec.to_dict(), "content_hash": self.dataset.content_hash}
        write_folder(folder, {"weights": self.model.state_dict(), **self._beside()}, state)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> Self:
        """The recommender saved in `folder`.

        Raises:
            CheckpointError: when the folder is damaged or was trained on other data.
        """
        from llmrec_core.settings import load_settings

        tensors, state = read_folder(folder)
        if state["content_hash"] != dataset.content_hash:
            raise CheckpointError(
                t(
                    "{folder} was trained on other data; load it with its own data version",
                    folder=folder,
                )
            )
        spec, settings = stored_run(state["spec"]), settings or load_settings()
        recommender = cls(spec, dataset, settings)
        recommender.model = recommender._of_stored(tensors)
        recommender.model.load_state_dict(tensors["weights"])
        return recommender

    def _sizes(self) -> tuple[int, int]:
        """Trained parameters, and bytes of all that is stored."""
        if self.model is None:
            return 0, 0
        tensors = self.model.state_dict().values()
        return (
            sum(parameter.numel() for parameter in self.model.parameters()),
            sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        )
