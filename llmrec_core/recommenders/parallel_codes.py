"""Parallel codes: semantic codes of items, all foretold at once, and an exact score of every item.

Items are made of codes by quantising their text vectors (models/product_codes.py); a transformer
reads a history of such items and foretells every code of the next one (models/codes_model.py). The
score of a candidate is the logarithm of its probability, the sum over its codes: nothing is
decoded, so that no item can be made up, and the price of a request hardly depends on how many
candidates there are.

Source: Hou et al. 2025 (RPG, arXiv:2506.05781).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.recommender import mean_candidates
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.text import item_texts, require_titles
from llmrec_core.language import t
from llmrec_core.models.codes_model import CodesModel, scores_of, scores_of_all
from llmrec_core.models.product_codes import Groups, Quantiser, fit_quantiser, groups_of
from llmrec_core.profiling.counts import codes_flops
from llmrec_core.recommenders.sequence_recommender import SHAPE, SequenceRecommender
from llmrec_core.recommenders.text_vectors import catalogue_vectors, text_vectors
from llmrec_core.scoring.finite import require_finite
from llmrec_core.training.checkpoints import MANIFEST, read_folder, write_folder
from llmrec_core.training.windows import Windows
from llmrec_core.types import Columns, Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

CODES, CODEBOOK = 16, 256
TEMPERATURE = 0.07
"""By which a cosine is divided."""
SCORED_TOGETHER = 256
"""Histories in one pass when scoring."""


@dataclass(frozen=True)
class ItemCodes:
    """What the items are made of, before anything is trained."""

    quantiser: Quantiser
    codes: np.ndarray
    """Int64, shape (items, codes)."""


class ParallelCodes(SequenceRecommender[CodesModel]):
    """Foretells all codes of the next item and scores items by the sum of their logarithms."""

    defaults = SHAPE | {"codes": CODES, "codebook": 0}
    """A codebook of 0 has 256 centroids, or as many as texts differ where those are fewer."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; codes and weights are made by `fit` or `load`.

        Raises:
            UsageError: when the heads do not divide the width.
        """
        super().__init__(spec, dataset, settings)
        self.temperature = float(spec.recommender.options.get("temperature", TEMPERATURE))
        self._item_codes: ItemCodes | None = None
        self._summands: Tensor | None = None

    def prepare(self, split: Split, context: RunContext) -> None:
        """Make the codes, or take those with which the run began; see `Prepares`.

        Raises:
            UnsupportedError: when no item has a title.
            UsageError: for a codebook larger than the catalogue, or more codes than a text vector
                is wide.
        """
        folder = context.folder / "checkpoints" / "codes"
        of = {"spec": self.spec.hash, "content_hash": self.dataset.content_hash}
        self._item_codes = None
        if (folder / MANIFEST).exists():  # a run that goes on must mean the same by its weights
            tensors, state = read_folder(folder)
            self._item_codes = _restored(tensors) if state == of else None
        if self._item_codes is None:
            self._item_codes = self._make(context)
            write_folder(folder, _stored(self._item_codes), of)
        self._say(groups_of(self._item_codes.codes, split.item_counts), context)

    def _make(self, context: RunContext | None = None) -> ItemCodes:
        require_titles(self.dataset, t("Parallel codes"))
        vectors = catalogue_vectors(self.spec, self.dataset, self.settings, context)
        vectors = _alike(vectors, self.dataset)
        quantiser = fit_quantiser(
            vectors,
            self.options["codes"],
            self.options["codebook"] or min(CODEBOOK, len(np.unique(vectors, axis=0))),
            self.spec.seed,
            None if context is None else partial(context.progress, "quantise"),
        )
        return ItemCodes(quantiser, quantiser.codes(vectors))

    def _say(self, groups: Groups, context: RunContext) -> None:
        """Tell the run's page how well the codes tell items apart."""
        context.log(
            t(
                "{sharing:,} of {items:,} items share all their codes with another one, at most "
                "{largest:,} of them the same; a further code tells them apart",
                sharing=groups.sharing,
                items=self.dataset.n_items,
                largest=groups.largest,
            )
        )
        if untitled := self._untitled():
            context.log(
                t(
                    "{untitled:,} items have no title and share the codes of one text; nothing "
                    "but their places in that group tells them apart",
                    untitled=untitled,
                )
            )

    def _untitled(self) -> int:
        """Items of which there is no text."""
        return int((self.dataset.items[Columns.TITLE] == "").sum())

    def fit(self, split: Split, context: RunContext) -> None:
        """Make the codes, then train on the training sequences alone; see `Recommender.fit`.

        Raises:
            UnsupportedError: when no item has a title.
            UsageError: as `prepare`.
            DataError: when no user has two training interactions.
            NotFiniteError: when training diverges.
        """
        if self._item_codes is None:
            self.prepare(split, context)
        assert self._item_codes is not None, "prepare makes the codes"
        groups = groups_of(self._item_codes.codes, split.item_counts)
        self.model = model = self._build(self._item_codes, groups)
        self._forget()

        def mean(windows: Windows) -> Tensor:
            real = torch.from_numpy(windows.real).to(self.device)
            states = model(torch.from_numpy(windows.inputs).to(self.device))[real]
            return model.loss(states, torch.from_numpy(windows.targets).to(self.device)[real])

        def weight(windows: Windows) -> float:
            return float(windows.real.sum())

        self._train(model, self._sampler(split), mean, weight, split, context)

    def _untrained(self) -> CodesModel:
        if self._item_codes is None:
            self._item_codes = self._make()
        groups = groups_of(self._item_codes.codes, np.zeros(self.dataset.n_items))
        return self._build(self._item_codes, groups)

    def _build(self, item_codes: ItemCodes, groups: Groups) -> CodesModel:
        model = self._shaped(item_codes.quantiser, groups.largest)
        model.set_codes(torch.from_numpy(item_codes.codes), groups)
        model.to(self.device)
        return model

    def _shaped(self, quantiser: Quantiser, largest_group: int) -> CodesModel:
        """A fresh model whose items have no codes yet."""
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

    def _beside(self) -> dict[str, dict[str, Tensor]]:
        return {} if self._item_codes is None else _stored(self._item_codes)

    def _of_stored(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> CodesModel:
        self._item_codes = _restored(tensors)
        codes, codebook, _ = self._item_codes.quantiser.centroids.shape
        rows = len(tensors["weights"]["code_vectors.weight"])
        model = self._shaped(self._item_codes.quantiser, rows - codes * codebook)
        model.to(self.device)
        return model

    def _forget(self) -> None:
        self._summands = None

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`: the same centroids make codes of the other titles.

        Items that came to share their codes stand in the order of their codes, not of popularity.
        """
        model = self.network()
        assert self._item_codes is not None, "a model has codes"
        vectors = _alike(text_vectors(self.spec, dataset, settings), dataset)
        codes = self._item_codes.quantiser.codes(vectors)
        model.set_codes(torch.from_numpy(codes), groups_of(codes, np.zeros(len(codes))))
        self._forget()

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


def _alike(vectors: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The same vector for the same text: those of one pass differ a little from another's."""
    texts = item_texts(dataset, genres=True)
    _, first, text = np.unique(texts, return_index=True, return_inverse=True)
    same: np.ndarray = vectors[first[text]]
    return same


def _stored(item_codes: ItemCodes) -> dict[str, dict[str, Tensor]]:
    quantiser = item_codes.quantiser
    named = {"mean": quantiser.mean, "axes": quantiser.axes, "centroids": quantiser.centroids}
    tensors = {name: torch.from_numpy(array) for name, array in named.items()}
    return {"quantiser": {**tensors, "codes": torch.from_numpy(item_codes.codes)}}


def _restored(tensors: Mapping[str, Mapping[str, Tensor]]) -> ItemCodes:
    stored = {name: tensor.numpy() for name, tensor in tensors["quantiser"].items()}
    codes = stored.pop("codes")
    return ItemCodes(Quantiser(**stored), codes)
