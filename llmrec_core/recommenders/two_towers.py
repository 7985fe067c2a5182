"""Two towers: item texts encoded once by a fine-tuned language model, then dot products alone.

A request costs what it costs with any vectors: the language model reads nothing while it is
answered. Its price is the encoding of the catalogue, which the record states beside the training
and which `catalogue_requests` spreads over requests. This module serves without torch; training is
recommenders/tower_training.py, the model scoring/towers.py.

Symbols: E width, N candidates.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core.contract.recommender import mean_candidates, mean_items_read
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.text import require_titles
from llmrec_core.errors import CheckpointError, UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.recommenders.options import refuse_weights
from llmrec_core.recommenders.recency import SumsByAge, recent_profiles
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.scoring.finite import require_finite
from llmrec_core.types import Description, Measurement

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.recommenders.tower_training import TowerTraining
    from llmrec_core.scoring.towers import Tables
    from llmrec_core.settings import Settings
    from llmrec_core.training.loop import TrainingResult

DEFAULTS = {
    "window": 10,
    "decay": 0.8,
    "ahead": 1,
    "uniform": 0,
    "mined": 0,
    "temperature": 0.1,
    "popularity": 1.0,
    "correction": 1.0,
}
MOST_OF_CATALOGUE = 8
"""From one item in so many on, the whole catalogue is scored and the candidates are taken of it."""
WEIGHTS = "towers"
"""Folder of the trained weights inside a model's folder."""


class TwoTowers(SumsByAge):
    """Score of a candidate: Σ decay^age · ask(item) · answer(candidate), plus its popularity."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; vectors are made by `fit` or `load`.

        Raises:
            UsageError: for the adaptation `none`, which trains nothing.
        """
        if spec.recommender.adaptation == "none":
            raise UsageError(
                t(
                    "recommender.family 'two-towers' is trained, and adaptation 'none' trains "
                    "nothing; choose 'full', 'lora' or 'head', or the family 'bi-encoder'"
                )
            )
        self.spec, self.dataset, self.settings = spec, dataset, settings
        self.options = {**DEFAULTS, **spec.recommender.options}
        self.history_items = spec.recommender.history_items
        self.decay = float(self.options["decay"])
        self.counts = np.zeros(dataset.n_items, np.int64)
        self.asks = self.answers = np.zeros((0, 0), np.float32)
        """Vectors of the items as history and as candidates, shape (items, E)."""
        self.result: TrainingResult | None = None
        self.catalogue: dict[str, Any] = {}
        """What encoding the catalogue took."""
        self._training: TowerTraining | None = None
        self._folder: Path | None = None
        """Where trained weights stand, of a loaded recommender."""

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> TwoTowers:
        """As `FamilyClass.of_spec`; it takes no weights over."""
        refuse_weights(spec, parent)
        return cls(spec, dataset, settings)

    def fit(self, split: Split, context: RunContext) -> None:
        """Train the towers, then encode the catalogue; see `Recommender.fit`.

        Raises:
            UnsupportedError: when the items have no titles.
            CheckpointError: when the backbone is no longer the one that the spec was queued for.
            NotFiniteError: when training diverges.
        """
        require_titles(split.dataset, t("Two towers"))
        self.counts = split.item_counts
        training = self._towers()

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            self._take(training.tables())
            return self.score(histories, candidates)

        self.result = training.run(split, context, score)
        self._take(training.tables())
        self.catalogue = training.catalogue()
        self._measure(context)

    def _towers(self) -> TowerTraining:
        """The model that makes the vectors, loaded when it is first needed."""
        if self._training is None:
            from llmrec_core.recommenders.tower_training import TowerTraining

            self._training = TowerTraining(self.spec, self.options, self.dataset, self.settings)
        return self._training

    def _take(self, tables: Tables) -> None:
        self.asks, self.answers = tables.asks, tables.answers

    def _measure(self, context: RunContext) -> None:
        """Put into the record what encoding the catalogue took."""
        seconds, flops = self.catalogue["seconds"], self.catalogue["flops"]
        per_request = 2.0 * self.answers.size
        reason = t("its text vectors were on disk already")
        context.measure(
            Measurement("catalogue_s", seconds, "s", protocol="run", reason=reason)
            if seconds is None
            else Measurement("catalogue_s", seconds, "s", protocol="run"),
            Measurement("catalogue_flops", flops, "FLOP", protocol="run"),
            Measurement("catalogue_requests", flops / per_request, "1", protocol="run"),
        )

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`: the trained language model reads the other titles."""
        from llmrec_core.recommenders.tower_training import TowerTraining

        training = TowerTraining(self.spec, self.options, dataset, settings, keep=False)
        if self._folder is not None:
            training.load(self._folder)
        elif self._training is not None:
            training.copy(self._training)
        self._take(training.tables())

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`; before `fit`, untrained towers score."""
        if not self.asks.size:
            self._take(self._towers().untrained_tables())
        profiles = recent_profiles(histories, self.history_items, self.decay, self.dataset.n_items)
        users = np.asarray(profiles @ self.asks, dtype=np.float32)
        if self._scores_all(candidates.shape[1]):
            scores = np.take_along_axis(users @ self.answers.T, np.maximum(candidates, 0), axis=1)
        else:
            rows = zip(users, candidates, strict=True)
            scores = np.stack([self.answers[items] @ user for user, items in rows])
        scores = scores + (self.options["popularity"] * np.log1p(self.counts))[candidates]
        real = candidates >= 0
        scores = require_finite(scores, real, self.spec.training)
        return np.where(real, scores, -np.inf).astype(np.float32)

    def _scores_all(self, offered: int) -> bool:
        """Whether so many candidates are taken from the scores of the whole catalogue."""
        return offered * MOST_OF_CATALOGUE >= self.dataset.n_items

    def save(self, folder: Path) -> None:
        """Write vectors and trained weights; see `Recommender.save`.

        Raises:
            CheckpointError: when nothing was fitted.
        """
        if self._folder is None and self.result is None:
            raise CheckpointError(t("two towers have no weights yet; fit them before saving"))
        folder.mkdir(parents=True, exist_ok=True)
        save_arrays(folder, "two-towers", asks=self.asks, answers=self.answers, counts=self.counts)
        write_json(
            folder / "state.json", {"spec": self.spec.to_dict(), "catalogue": self.catalogue}
        )
        if self._folder is None:
            self._towers().save(folder / WEIGHTS)
        else:  # loaded: its weights are those of its folder
            shutil.copytree(self._folder, folder / WEIGHTS, dirs_exist_ok=True)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> TwoTowers:
        """The recommender saved in a folder; the language model stays unread.

        Raises:
            CheckpointError: when a file is missing or damaged, or was made for other items.
        """
        from llmrec_core.settings import load_settings

        stored = load_arrays(folder, "two-towers", dataset)
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        loaded = cls(stored_run(state["spec"]), dataset, settings or load_settings())
        loaded.asks, loaded.answers = stored["asks"], stored["answers"]
        loaded.counts, loaded.catalogue = stored["counts"], state["catalogue"]
        loaded._folder = folder / WEIGHTS
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One addition per item read and one product per candidate, of vectors."""
        width = self.answers.shape[1]
        read = mean_items_read(histories, self.history_items)
        scored = (
            self.dataset.n_items
            if self._scores_all(candidates.shape[1])
            else mean_candidates(candidates)
        )
        trainable = self._training.trainable if self._training is not None else 0
        return Description(
            self.asks.size + self.answers.size,
            trainable,
            self.asks.nbytes + self.answers.nbytes,
            2.0 * width * (read + scored),
            {"backbone": self.spec.recommender.backbone, "catalogue": self.catalogue},
        )
