"""Generative retrieval: the next item is written code by code, and only items that exist can be.

Items are rows of codes from coarse to fine (models/residual_codes.py) with one more code that tells
apart those that share all others. A causal transformer reads the codes of a history and foretells
the next code (models/code_by_code_model.py). A whole catalogue is ranked by a beam search over the
tree of the rows that exist (scoring/code_search.py), a few candidates by their exact probability.

Source: TIGER (Rajput et al. 2023, arXiv:2305.05065); what is done otherwise stands in the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.spec import RunSpec
from llmrec_core.language import t
from llmrec_core.models.code_by_code_model import CodeByCodeModel
from llmrec_core.models.code_tree import Level, tree_of
from llmrec_core.models.residual_codes import ResidualQuantiser, fit_residuals
from llmrec_core.profiling.counts import code_by_code_flops
from llmrec_core.recommenders.coded_items import CodedItems
from llmrec_core.recommenders.sequence_recommender import SHAPE
from llmrec_core.scoring.code_search import beams_read, search
from llmrec_core.scoring.finite import require_finite
from llmrec_core.training.windows import Windows
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

LEVELS, BEAM = 3, 50
WHOLE = 0.5
"""A request that is offered more than this share of the catalogue is searched, not read whole."""
BEAMS_TOGETHER = 4_096
"""Beams of one pass, over all its requests."""
REQUESTS_TOGETHER = 256
CELLS_TOGETHER = 16_000_000
"""Items times requests of one pass."""
FLOAT_BYTES = 4
BELOW = 1.0
"""By how much items that a beam did not reach stand below the last one that it did."""


class Tiger(CodedItems[CodeByCodeModel, ResidualQuantiser]):
    """Writes the next item code by code; scores are logarithms of an item's probability."""

    defaults = SHAPE | {"levels": LEVELS, "codebook": 0, "beam": BEAM}
    """A codebook of 0 has 256 centroids, or as many as texts differ where those are fewer."""
    quantiser_class = ResidualQuantiser

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; codes and weights are made by `fit` or `load`.

        Raises:
            UsageError: when the heads do not divide the width.
        """
        super().__init__(spec, dataset, settings)
        self.beam = min(self.options["beam"], dataset.n_items)
        self._tree: list[Level] | None = None

    def _quantise(
        self, vectors: np.ndarray, codebook: int, progress: Callable[[int, int], None] | None
    ) -> ResidualQuantiser:
        return fit_residuals(vectors, self.options["levels"], codebook, self.spec.seed, progress)

    def fit(self, split: Split, context: RunContext) -> None:
        """Make the codes, then train on the training sequences alone; see `Recommender.fit`.

        Raises:
            UnsupportedError: when no item has a title.
            UsageError: for a codebook larger than the catalogue.
            DataError: when no user has two training interactions.
            NotFiniteError: when training diverges.
        """
        model = self._begin(split, context)
        if self.beam < self.options["beam"]:
            context.log(
                t(
                    "recommender.options.beam is {beam:,}, and the catalogue has {items:,} items: "
                    "a beam of {items:,} reaches all of them",
                    beam=self.options["beam"],
                    items=self.dataset.n_items,
                )
            )

        def mean(windows: Windows) -> Tensor:
            sequences, real = whole_sequences(windows)
            return model.loss(
                torch.from_numpy(sequences).to(self.device), torch.from_numpy(real).to(self.device)
            )

        def weight(windows: Windows) -> float:
            return float(whole_sequences(windows)[1].sum())

        self._train(model, self._sampler(split), mean, weight, split, context)

    def _shaped(self, quantiser: ResidualQuantiser, largest_group: int) -> CodeByCodeModel:
        torch.manual_seed(self.spec.seed)
        levels, codebook, _ = quantiser.centroids.shape
        return CodeByCodeModel(
            self.dataset.n_items,
            levels,
            codebook,
            largest_group,
            self.length,
            self.options["width"],
            self.options["layers"],
            self.options["heads"],
            self.spec.training.dropout,
        )

    def _forget(self) -> None:
        self._tree = None

    def tree(self) -> list[Level]:
        """The tree of the catalogue's codes."""
        if self._tree is None:
            self._tree = tree_of(self.network().item_codes().cpu().numpy())
        return self._tree

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores of candidates for each history; see `Recommender.score`.

        A request that is offered more than half of the catalogue is searched with the beam: what
        is reached scores the logarithm of its probability, everything else one less than the last
        of these, all alike. Any other request scores that logarithm for every candidate.

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        network, tree = self.network().eval(), self.tree()
        sequences, lengths = self._read(histories)
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        for rows in self._together(lengths, self._widths(candidates)):
            offered = self._offered(candidates[rows])
            items = int(lengths[rows].max())
            reached = search(
                network,
                tree,
                torch.from_numpy(sequences[rows, :items]).to(self.device),
                torch.from_numpy(lengths[rows]).to(self.device),
                offered,
                self._widths(candidates[rows]),
            )
            leaves = tree[-1].of_item[np.maximum(candidates[rows], 0)]
            values = np.take_along_axis(reached, leaves, axis=1)
            lowest = np.where(np.isneginf(reached), np.inf, reached).min(axis=1, keepdims=True)
            scores[rows] = np.where(np.isneginf(values), lowest - BELOW, values)
        real = candidates >= 0
        return np.where(real, require_finite(scores, real, self.spec.training), -np.inf)

    def _offered(self, candidates: np.ndarray) -> np.ndarray:
        """Whether each item of the catalogue is among a request's candidates, (requests, items)."""
        offered = np.zeros((len(candidates), self.dataset.n_items), dtype=bool)
        rows, columns = np.nonzero(candidates >= 0)
        offered[rows, candidates[rows, columns]] = True
        return offered

    def _widths(self, candidates: np.ndarray) -> np.ndarray:
        """Beams of each request, int64, (requests,); 0 where nothing is offered."""
        counts = (candidates >= 0).sum(axis=1)
        return np.where(counts > WHOLE * self.dataset.n_items, self.beam, counts)

    def _together(self, lengths: np.ndarray, widths: np.ndarray) -> Iterator[np.ndarray]:
        """Rows of requests for one pass each: alike in beams and in the length of the history."""
        order = np.lexsort((lengths, widths))
        order = order[widths[order] > 0]
        start = 0
        most = max(1, min(REQUESTS_TOGETHER, CELLS_TOGETHER // self.dataset.n_items))
        while start < len(order):
            end = start + 1
            while end < min(len(order), start + most):
                if (end + 1 - start) * widths[order[end]] > BEAMS_TOGETHER:
                    break
                end += 1
            yield order[start:end]
            start = end

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Parameters, bytes and FLOPs of these requests; see `Recommender.describe`."""
        width, layers = self.options["width"], self.options["layers"]
        model, tree = self.network(), self.tree()
        flops, read = [], []
        for history, row, beams in zip(
            histories, candidates, self._widths(candidates), strict=True
        ):
            items = min(len(history), self.length)
            written = beams_read(tree, row[row >= 0], int(beams))
            flops.append(
                code_by_code_flops(
                    layers, width, items, model.digits, model.codebook, model.places, written
                )
            )
            read.append(items * model.digits + 1 + sum(written))
        groups = np.unique(model.item_codes()[:, :-1].cpu().numpy(), axis=0, return_counts=True)[1]
        notes: dict[str, Any] = {
            "backbone": self.spec.recommender.backbone,
            "layers": layers,
            "levels": model.digits - 1,
            "codebook": model.codebook,
            "beam": self.beam,
            "searched": float((self._widths(candidates) < (candidates >= 0).sum(axis=1)).mean()),
            "codes_read_per_request": float(np.mean(read)),
            "cache_bytes_per_request": float(np.mean(read)) * 2 * layers * width * FLOAT_BYTES,
            "items_sharing_codes": int(groups[groups > 1].sum()),
            "largest_group": int(groups.max()),
            "items_without_title": self._untitled(),
        }
        parameters, stored = self._sizes()
        return Description(parameters, parameters, stored, float(np.mean(flops)), notes)


def whole_sequences(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Each history with the item after it, right-padded, and what of it is real; (B, L + 1) both.

    Args:
        windows: whose targets are the very next items.
    """
    sequences = np.concatenate((windows.inputs[:, :1], windows.targets), axis=1)
    real = np.concatenate((np.ones((len(sequences), 1), dtype=bool), windows.real), axis=1)
    return sequences, real
