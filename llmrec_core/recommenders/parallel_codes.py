"""Parallel codes: semantic codes of items, all foretold at once, and an exact score of every item.

Items are made of codes by quantising their text vectors (models/product_codes.py); a transformer
reads a history of such items and foretells every code of the next one (models/codes_model.py). The
score of a candidate is the logarithm of its probability, the sum over its codes: nothing is
decoded, so that no item can be made up, and the price of a request hardly depends on how many
candidates there are.

Source: Hou et al. 2025 (RPG, arXiv:2506.05781).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.recommender import mean_candidates
from llmrec_core.contract.spec import RunSpec
from llmrec_core.models.codes_model import CodesModel, scores_of, scores_of_all
from llmrec_core.models.product_codes import Quantiser, fit_quantiser
from llmrec_core.profiling.counts import codes_flops
from llmrec_core.recommenders.coded_items import CodedItems
from llmrec_core.recommenders.sequence_recommender import SHAPE
from llmrec_core.scoring.finite import require_finite
from llmrec_core.training.windows import Windows
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

CODES = 16
TEMPERATURE = 0.07
"""By which a cosine is divided."""
SCORED_TOGETHER = 256
"""Histories in one pass when scoring."""


class ParallelCodes(CodedItems[CodesModel, Quantiser]):
    """Foretells all codes of the next item and scores items by the sum of their logarithms."""

    defaults = SHAPE | {"codes": CODES, "codebook": 0}
    """A codebook of 0 has 256 centroids, or as many as texts differ where those are fewer."""
    quantiser_class = Quantiser

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; codes and weights are made by `fit` or `load`.

        Raises:
            UsageError: when the heads do not divide the width.
        """
        super().__init__(spec, dataset, settings)
        self.temperature = float(spec.recommender.options.get("temperature", TEMPERATURE))
        self._summands: Tensor | None = None

    def _quantise(
        self, vectors: np.ndarray, codebook: int, progress: Callable[[int, int], None] | None
    ) -> Quantiser:
        return fit_quantiser(vectors, self.options["codes"], codebook, self.spec.seed, progress)

    def fit(self, split: Split, context: RunContext) -> None:
        """Make the codes, then train on the training sequences alone; see `Recommender.fit`.

        Raises:
            UnsupportedError: when no item has a title.
            UsageError: for a codebook larger than the catalogue, or more codes than a text vector
                is wide.
            DataError: when no user has two training interactions.
            NotFiniteError: when training diverges.
        """
        model = self._begin(split, context)

        def mean(windows: Windows) -> Tensor:
            real = torch.from_numpy(windows.real).to(self.device)
            states = model(torch.from_numpy(windows.inputs).to(self.device))[real]
            return model.loss(states, torch.from_numpy(windows.targets).to(self.device)[real])

        def weight(windows: Windows) -> float:
            return float(windows.real.sum())

        self._train(model, self._sampler(split), mean, weight, split, context)

    def _shaped(self, quantiser: Quantiser, largest_group: int) -> CodesModel:
        torch.manual_seed(self.spec.seed)
        codes, codebook, _ = quantiser.centroids.shape
        return CodesModel(
            self.dataset.n_items,
            codes,
            codebook,
            largest_group,
            self.length,
            self.options["width"],
            self.options["layers"],
            self.options["heads"],
            self.spec.training.dropout,
            self.temperature,
        )

    def _forget(self) -> None:
        self._summands = None

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores of candidates for each history; see `Recommender.score`.

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        network = self.network().eval()
        if self._summands is None:
            self._summands = network.summands()
        sequences, lengths = self._read(histories)
        scores = np.empty(candidates.shape, dtype=np.float32)
        for start in range(0, len(histories), SCORED_TOGETHER):
            rows = slice(start, start + SCORED_TOGETHER)
            states = network(torch.from_numpy(sequences[rows]).to(self.device))
            read = torch.from_numpy(lengths[rows]).to(self.device)
            asking = states[torch.arange(len(states)), (read - 1).clamp(min=0)]
            table = network.table(asking) * (read > 0)[:, None]  # no history: every item scores 0
            offered = torch.from_numpy(np.maximum(candidates[rows], 0).astype(np.int64))
            scores[rows] = self._sums(table, offered.to(self.device)).cpu().numpy()
        real = candidates >= 0
        return np.where(real, require_finite(scores, real, self.spec.training), -np.inf)

    def _sums(self, table: Tensor, offered: Tensor) -> Tensor:
        """Scores of everybody's own candidates (B, N), shape (B, N)."""
        assert self._summands is not None, "made before anything is scored"
        if self._scores_all(offered.shape[1]):
            return torch.gather(scores_of_all(table, self._summands), 1, offered)
        return scores_of(table, self._summands[offered])

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Parameters, bytes and FLOPs of these requests; see `Recommender.describe`.

        Candidates cost look-ups and additions alone, which the notes count.
        """
        width, layers = self.options["width"], self.options["layers"]
        model = self.network()
        digits, codebook, places = model.digits, model.codebook, model.places
        read = [max(min(len(history), self.length), 1) for history in histories]
        flops = float(
            np.mean([codes_flops(layers, width, items, digits, codebook, places) for items in read])
        )
        everything = self._scores_all(candidates.shape[1])
        scored = self.dataset.n_items if everything else mean_candidates(candidates)
        notes: dict[str, Any] = {
            "backbone": self.spec.recommender.backbone,
            "layers": layers,
            "codes": digits,
            "codebook": codebook,
            "items_sharing_codes": int((model.sizes > 1).sum()),
            "largest_group": places,
            "items_without_title": self._untitled(),
            "additions_per_request": scored * (digits + 2),
        }
        parameters, stored = self._sizes()
        return Description(parameters, parameters, stored, flops, notes)
