"""SASRec as a recommender, trained with a softmax; with text embeddings, text-SASRec.

The softmax over the catalogue, or over many sampled items of it, instead of one negative a place
follows Klenitskiy & Vasilev 2023 (arXiv:2309.07602); the model itself is models/sasrec_model.py.
Id vectors start from factors of the training histories' co-occurrences
(`cooccurrence.item_vectors`) instead of at random: on ml-100k that is the difference between 0.08
and 0.11 NDCG@10 over all items (docs/lab-notebook/2026-11-25.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llmrec_core.contract.recommender import mean_candidates
from llmrec_core.contract.spec import RunSpec
from llmrec_core.language import t
from llmrec_core.metrics.propensity import effective_n, popularity_propensities
from llmrec_core.models.sasrec_model import SasRecModel
from llmrec_core.profiling.counts import sequence_flops
from llmrec_core.recommenders.cooccurrence import co_occurrences, item_vectors
from llmrec_core.recommenders.sequence_recommender import SHAPE, SequenceRecommender
from llmrec_core.recommenders.target_loss import TargetLoss
from llmrec_core.recommenders.text_vectors import catalogue_vectors, text_vectors
from llmrec_core.scoring.finite import require_finite
from llmrec_core.training.windows import WindowSampler
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

COOCCURRENCE = 0.1
"""Standard deviation of the id vectors' start from co-occurrences; option `cooccurrence` sets it.

0 starts them at random.
"""
RIDGE = 1.0
"""Weight of the penalty when text embeddings of unit length predict those vectors."""
WINDOW = 10
"""Items at most this far apart in a history co-occur; any two where the data set has no order."""
CLIP = 10.0
"""Largest inverse propensity of a target against the smallest; option `ips_clip` sets it."""
SCORED_TOGETHER = 256
"""Histories in one pass when scoring."""


class SasRec(SequenceRecommender[SasRecModel]):
    """The sequential baseline; `family = "text-sasrec"` adds language-model embeddings."""

    defaults = SHAPE | {"negatives": 0}

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; weights are made by `fit` or `load`.

        Raises:
            UsageError: for an option that the family does not have, or one out of its range.
        """
        super().__init__(spec, dataset, settings)
        given = spec.recommender.options
        self.cooccurrence = float(given.get("cooccurrence", COOCCURRENCE))
        self.ips, self.clip = float(given.get("ips", 0.0)), float(given.get("ips_clip", CLIP))
        self.propensity: dict[str, float] = {}
        """With option `ips`: gamma, clip and what the weights do to the variance."""
        self._table: Tensor | None = None

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`; SASRec without text has nothing to read."""
        if self.model is None or self.model.text is None:
            return
        vectors = text_vectors(self.spec, dataset, settings)
        self.model.text_vectors[:-1] = torch.from_numpy(vectors)
        self._table = None

    def _build(self, text: np.ndarray | None) -> SasRecModel:
        torch.manual_seed(self.spec.seed)
        model = SasRecModel(
            self.dataset.n_items,
            self.length,
            self.options["width"],
            self.options["layers"],
            self.options["heads"],
            self.spec.training.dropout,
            None if text is None else torch.from_numpy(text),
        )
        model.to(self.device)
        return model

    def _text(self, context: RunContext | None = None) -> np.ndarray | None:
        if self.spec.recommender.family != "text-sasrec":
            return None
        return catalogue_vectors(self.spec, self.dataset, self.settings, context)

    def fit(self, split: Split, context: RunContext) -> None:
        """Train on the training sequences alone; see `Recommender.fit`.

        Raises:
            DataError: when no user has two training interactions.
            NotFiniteError: when training diverges.
        """
        sampler = self._sampler(split, self.options["negatives"])
        self.model = model = self._build(self._text(context))
        self._start_from_cooccurrences(model, split)
        self._forget()
        loss = self._loss(model, sampler, split, context)
        self._train(model, sampler, loss.mean, loss.weight, split, context)

    def _loss(
        self, model: SasRecModel, sampler: WindowSampler, split: Split, context: RunContext
    ) -> TargetLoss:
        """What training lowers.

        Args:
            model: that is trained.
            sampler: of the training windows.
            split: whose training sequences the sampler draws from.
            context: of the run.
        """
        return TargetLoss(model, self._weights(split, context), self.device)

    def _start_from_cooccurrences(self, model: SasRecModel, split: Split) -> None:
        """Start id vectors from co-occurrences; items without a neighbour keep their random start.

        With text, its projection starts as the ridge regression of those vectors on the embeddings
        and the id vectors as what it leaves, so that an item nobody has taken starts where its text
        says.
        """
        if not self.cooccurrence:
            return
        window = 0 if self.dataset.order == "none" else WINDOW
        counts = co_occurrences(split.train, self.dataset.n_items, window=window)
        vectors = torch.from_numpy(
            self.cooccurrence * item_vectors(counts, self.options["width"], self.spec.seed)
        )
        vectors = functional.pad(vectors, (0, self.options["width"] - vectors.shape[1])).to(
            self.device
        )
        co_occurring = torch.nonzero(vectors.any(dim=1)).ravel()
        with torch.no_grad():
            if model.text is not None:
                texts = model.text_vectors[co_occurring]
                gram = texts.T @ texts + RIDGE * torch.eye(texts.shape[1], device=texts.device)
                model.text.weight.copy_(torch.linalg.solve(gram, texts.T @ vectors[co_occurring]).T)
                vectors[co_occurring] -= model.text(texts)
            model.ids.weight[co_occurring] = vectors[co_occurring]

    def _weights(self, split: Split, context: RunContext) -> Tensor | None:
        """Clipped inverse propensity of every item as a target, shape (items,); None when off.

        Option `ips` is gamma of the propensity model. Source: Schnabel et al., ICML 2016;
        propensities ∝ count^((gamma+1)/2) as in Yang et al., RecSys 2018.
        """
        if self.ips <= 0:
            return None
        counts = split.item_counts
        floor = 1.0 / self.clip
        weights = 1.0 / popularity_propensities(counts, self.ips, floor)
        per_target = np.repeat(weights, counts)
        share = effective_n(per_target) / max(len(per_target), 1)
        clipped = float((per_target >= self.clip * (1 - 1e-9)).mean())
        self.propensity = {
            "gamma": self.ips,
            "clip": self.clip,
            "effective_share": share,
            "clipped_share": clipped,
        }
        context.log(
            t(
                "propensity weights: gamma {ips:g}, clipped at {clip:g} for {clipped:.0%} of "
                "the targets; the variance is that of {share:.0%} as many targets",
                ips=self.ips,
                clip=self.clip,
                clipped=clipped,
                share=share,
            )
        )
        return torch.from_numpy(weights.astype(np.float32)).to(self.device)

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores of candidates for each history; see `Recommender.score`.

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        network = self.network().eval()
        if self._table is None:
            self._table = network.vectors().detach()
        sequences, lengths = self._read(histories)
        scores = np.empty(candidates.shape, dtype=np.float32)
        for start in range(0, len(histories), SCORED_TOGETHER):
            rows = slice(start, start + SCORED_TOGETHER)
            states = network(torch.from_numpy(sequences[rows]).to(self.device), self._table)
            read = torch.from_numpy(lengths[rows]).to(self.device)
            users = states[torch.arange(len(states)), (read - 1).clamp(min=0)]
            users = users * (read > 0)[:, None]  # no history: every item scores 0
            offered = torch.from_numpy(np.maximum(candidates[rows], 0).astype(np.int64))
            scores[rows] = self._products(users, offered.to(self.device)).cpu().numpy()
        real = candidates >= 0
        return np.where(real, require_finite(scores, real, self.spec.training), -np.inf)

    def _products(self, users: Tensor, offered: Tensor) -> Tensor:
        """Products of users (B, E) with their own candidates (B, N), shape (B, N).

        Where most of the catalogue is offered, one product with all of it is several times faster
        than a copy of N vectors for everybody.
        """
        assert self._table is not None, "made before anything is scored"
        items = self.dataset.n_items
        if self._scores_all(offered.shape[1]):
            return torch.gather(users @ self._table[:items].T, 1, offered)
        return torch.einsum("be,bne->bn", users, self._table[offered])

    def _untrained(self) -> SasRecModel:
        return self._build(self._text())

    def _of_stored(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> SasRecModel:
        text = tensors["weights"].get("text_vectors")
        return self._build(None if text is None else text[:-1].numpy())

    def _forget(self) -> None:
        self._table = None

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Parameters, bytes and FLOPs of these requests; see `Recommender.describe`."""
        width, layers = self.options["width"], self.options["layers"]
        offered = mean_candidates(candidates)
        reads = [max(min(len(history), self.length), 1) for history in histories]
        scored = self.dataset.n_items if self._scores_all(candidates.shape[1]) else offered
        flops = float(np.mean([sequence_flops(layers, width, read, scored) for read in reads]))
        notes: dict[str, Any] = {"layers": layers, "cooccurrence": self.cooccurrence}
        if self.propensity:
            notes["propensity"] = self.propensity
        parameters, stored = self._sizes()
        return Description(parameters, parameters, stored, flops, notes)
