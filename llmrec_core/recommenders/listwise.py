"""Decoders that order a whole list in one reading: every candidate stands under a letter.

One prompt holds a history and up to 26 candidates; the logits of the letters at its last token are
the order (LlamaRec, arXiv:2311.02089). A score is the logarithm of a candidate's probability among
those of its list, so it depends on what else is offered.

A model may prefer a letter whoever stands under it. Training therefore draws a new order of the
candidates for every group. In serving the order comes from the retriever, whose best has the first
letter, or from shuffles that depend on the run's seed and the candidates alone: however a caller
orders them, they get the same scores. With several shuffles the score is the mean over them.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.contract.endpoint import LETTERS
from llmrec_core.contract.letters import most_listed, offered
from llmrec_core.contract.recommender import ListScore, ScorePart
from llmrec_core.data.item_texts import item_texts
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.list_layout import ListLayout
from llmrec_core.profiling.request_flops import list_flops
from llmrec_core.recommenders.held_list import HeldList
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.scoring.list_scorer import ListRequest, ListScorer

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.splits import Split
    from llmrec_core.models.backbones import Backbone
    from llmrec_core.models.scorer_model import ScorerModel
    from llmrec_core.training.sampling import GroupBatch

SHUFFLED = 11
"""Part of the seed of all shuffles, so that they are not those of the negatives."""
KEPT_LISTS = 8
"""Lists whose readers are kept, so that a second question about one finds what was scored."""


class ListwiseRecommender(LanguageModelRecommender):
    """A decoder with the head `letters`."""

    scorer: ListScorer

    def _layout_of(self, backbone: Backbone) -> ListLayout:
        self._held: OrderedDict[bytes, HeldList] = OrderedDict()
        return ListLayout(
            backbone.tokenizer,
            history_texts=item_texts(self.dataset, genres=False),
            candidate_texts=item_texts(
                self.dataset, genres=False, relations=self.spec.recommender.relations
            ),
            history_items=self.spec.recommender.history_items,
            max_tokens=backbone.stack.max_tokens,
            most=most_listed(self.spec),
        )

    def _scorer_of(self, model: ScorerModel) -> ListScorer:
        return ListScorer(model)

    @property
    def lists(self) -> ListLayout:
        """How its prompts are put together."""
        layout = self.model.layout
        assert isinstance(layout, ListLayout), "made in _layout_of"
        return layout

    @property
    def orders(self) -> int:
        """How many orders of the candidates a score is the mean of."""
        return int(self.spec.recommender.options.get("orders", 1))

    def _calibrate(self, split: Split, context: RunContext) -> None:
        """Nothing: `orders` needs no data."""

    # ── training ─────────────────────────────────────────────────────────────────────────────────

    def _training_scores(self, number: int, batch: GroupBatch) -> torch.Tensor:
        """Logits (groups, 1 + N) of the letters that the items of a batch stand under.

        The order of group g of batch n depends on (seed, n, g) alone, so a resumed run sees it too.
        """
        letters = np.zeros(batch.items.shape, dtype=np.int64)
        rows = []
        for group, (items, real) in enumerate(zip(batch.items, batch.real, strict=True)):
            rng = np.random.default_rng((self.spec.seed, SHUFFLED, number, group))
            order = rng.permutation(np.flatnonzero(real))
            letters[group, order] = np.arange(len(order))
            rows.append([self.lists.listed(items[order])])
        prompts = [self.lists.history(history) for history in batch.histories]
        for prompt, (row,), real in zip(prompts, rows, batch.real, strict=True):
            self.lists.require_fits(prompt, row, int(real.sum()))
        logits = self.model.list_logits(self.model.read_history(prompts), rows)[:, 0].float()
        return logits.gather(1, torch.from_numpy(letters).to(logits.device))

    def _validated(self) -> RunSpec:
        """Validations offer as many candidates as a list holds, where the protocol offers more."""
        protocol, most = self.spec.protocol, most_listed(self.spec)
        count = offered(protocol.candidates)
        if count is not None and count <= most:
            return self.spec
        drawn = "popular" if protocol.candidates.endswith("-popular") else "uniform"
        fewer = dataclasses.replace(protocol, candidates=f"{most}-{drawn}")
        return dataclasses.replace(self.spec, protocol=fewer)

    # ── scoring ──────────────────────────────────────────────────────────────────────────────────

    def _score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        asked, places, orders = [], [], []
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            real = np.flatnonzero(items >= 0)
            if len(real):
                orders.append(self._orders(items[real]))
                asked.append(self._request(history, items[real], orders[-1]))
                places.append((row, real))
        for logits, (row, real), ordered in zip(
            self.scorer.logits(asked), places, orders, strict=True
        ):
            scores[row, real] = _mean_log_probability(logits[:, : len(real)], ordered)
        return scores

    def _orders(self, items: np.ndarray) -> np.ndarray:
        """Orders of the items (N,), as places among them: int64, shape (orders, N)."""
        if len(items) > len(LETTERS):
            raise UnsupportedError(
                t(
                    "{count:,} candidates were offered, and a decoder with head 'letters' orders "
                    "{most} at most, since each has a letter of its own; ask a cascade, whose "
                    "retriever leaves it the best few",
                    count=len(items),
                    most=len(LETTERS),
                )
            )
        if self.orders == 1 and self.spec.recommender.retriever:
            return np.arange(len(items))[None]
        canonical = np.argsort(items, kind="stable")
        # Of the list alone: with another history the same candidates keep their letters.
        rng = np.random.default_rng((self.spec.seed, SHUFFLED, *items[canonical].tolist()))
        return np.stack([canonical[rng.permutation(len(items))] for _ in range(self.orders)])

    def _request(self, history: np.ndarray, items: np.ndarray, orders: np.ndarray) -> ListRequest:
        prompt = self.lists.history([int(item) for item in history])
        rows = [self.lists.listed(items[order]) for order in orders]
        self.lists.require_fits(prompt, rows[0], len(items))
        return ListRequest(prompt, rows)

    # ── what else is asked ───────────────────────────────────────────────────────────────────────

    def with_network(self, network: ScorerModel) -> ListwiseRecommender:
        """As `Neural.with_network`."""
        other = super().with_network(network)
        assert isinstance(other, ListwiseRecommender), "a copy of this one"
        other._held = OrderedDict()
        return other

    def held(self, candidates: np.ndarray) -> HeldList:
        """As `ReadsLists.held`."""
        key = candidates.tobytes()
        if key not in self._held:
            self._held[key] = HeldList(self, candidates)
        self._held.move_to_end(key)
        while len(self._held) > KEPT_LISTS:
            self._held.popitem(last=False)
        return self._held[key]

    def list_score(self, history: np.ndarray, candidates: np.ndarray) -> ListScore:
        """As `ScoresLists.list_score`: the list's own scores, with its candidates held."""
        real = (candidates >= 0).astype(np.float64)
        part = ScorePart("reader", self.held(candidates[candidates >= 0]), real, real)
        return ListScore((part,), np.zeros(len(candidates)))

    def _request_costs(self, history: np.ndarray, items: np.ndarray) -> tuple[float, int, float]:
        """FLOPs of a request, tokens of its history, and tokens of a list."""
        if not len(items):
            return 0.0, len(self.lists.history(history)), 0.0
        request = self._request(history, items, self._orders(items))
        return list_flops(self.model, request), len(request.prompt), float(request.width)

    def _notes(self) -> dict[str, Any]:
        return super()._notes() | {"lists_read": self.orders}


def _mean_log_probability(logits: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Mean over orders of each candidate's log probability among the candidates, (N,).

    Args:
        logits: of the letters of the list, shape (orders, N).
        orders: which candidate stands under each letter, shape (orders, N).
    """
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    by_candidate = np.empty_like(wide)
    np.put_along_axis(by_candidate, orders, wide, axis=1)
    mean: np.ndarray = by_candidate.mean(axis=0)
    return mean.astype(np.float32)
