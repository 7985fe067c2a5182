"""SASRec: a causal transformer over item ids, trained with the full softmax; with text embeddings, text-SASRec.

Source: Kang & McAuley 2018 (arXiv:1808.09781); the full softmax instead of sampled negatives follows
Klenitskiy & Vasilev 2023 (arXiv:2309.07602). Item vectors are tied between input and output. In `text-sasrec` an item's
vector is its id vector plus a learned projection of its frozen language-model embedding, so that an item nobody has
clicked yet still has a vector.

Id vectors start from factors of the training histories' co-occurrences (`cooccurrence.item_vectors`) instead of at random:
on ml-100k that is the difference between 0.08 and 0.11 NDCG@10 over all items (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmrec_core.data.text import item_texts
from llmrec_core.errors import CheckpointError, DataError, UsageError
from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.metrics.propensity import effective_n, popularity_propensities
from llmrec_core.models.devices import pick_device
from llmrec_core.recommenders.cooccurrence import co_occurrences, item_vectors
from llmrec_core.recommenders.registry import check_options
from llmrec_core.training.checkpoints import read_folder, write_folder
from llmrec_core.training.loop import train
from llmrec_core.training.validation import validator
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext
    from llmrec_core.settings import Settings

WIDTH, LAYERS, HEADS = 64, 2, 2
DEFAULTS = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "ahead": 1}
"""`ahead`: a position's target is drawn from the next so many items; 1 = the very next. More where order is noisy, as when
people rate a page of films in one go."""
COOCCURRENCE = 0.1
"""Standard deviation of the id vectors' start from co-occurrences, unless option `cooccurrence` says otherwise; 0 = at random."""
RIDGE = 1.0
"""Weight of the penalty when text embeddings of unit length predict those vectors."""
WINDOW = 10
"""Items at most this far apart in a history co-occur; any two of a history where the data set has no order."""
CLIP = 10.0
"""Largest inverse propensity of a target against the smallest, unless option `ips_clip` says otherwise."""


class SasRecModel(nn.Module):
    """Item vectors, positions and causal blocks. Item code `items` is padding."""

    def __init__(
        self, items: int, length: int, width: int, layers: int, heads: int, dropout: float, text: Tensor | None
    ) -> None:
        super().__init__()
        self.items = items
        self.ids = nn.Embedding(items + 1, width, padding_idx=items)
        self.positions = nn.Embedding(length, width)
        nn.init.normal_(self.ids.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        with torch.no_grad():
            self.ids.weight[items].zero_()
        self.text: nn.Module | None = None
        if text is not None:
            self.register_buffer("text_vectors", torch.cat((text, torch.zeros(1, text.shape[1]))), persistent=True)
            self.text = nn.Linear(text.shape[1], width, bias=False)
            nn.init.normal_(self.text.weight, std=0.05)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def vectors(self) -> Tensor:
        """Vectors (items + 1, width) of the whole catalogue."""
        if self.text is None:
            return self.ids.weight
        return self.ids.weight + self.text(self.text_vectors)

    def forward(self, sequences: Tensor, table: Tensor) -> Tensor:
        """States (B, T, width) after each item of right-padded sequences (B, T)."""
        length = sequences.shape[1]
        x = table[sequences] * table.shape[1] ** 0.5 + self.positions.weight[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device)
        return self.norm(self.blocks(self.dropout(x), mask=mask, is_causal=True))


class SasRec:
    """The sequential baseline; `family = "text-sasrec"` adds language-model embeddings."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        self.spec, self.dataset, self.settings = spec, dataset, settings
        self.length = spec.recommender.history_items
        self.device = pick_device(spec.device)
        given = spec.recommender.options
        check_options(spec.recommender.family, given, (*DEFAULTS, "cooccurrence", "ips", "ips_clip"))
        self.options = {name: int(given.get(name, value)) for name, value in DEFAULTS.items()}
        self.cooccurrence = float(given.get("cooccurrence", COOCCURRENCE))
        if not self.cooccurrence >= 0:
            raise UsageError(f"recommender.options.cooccurrence is {self.cooccurrence!r}; expected 0 or more")
        self.ips, self.clip = float(given.get("ips", 0.0)), float(given.get("ips_clip", CLIP))
        self.propensity: dict[str, float] = {}
        """With option `ips`: gamma, clip and what the weights do to the variance."""
        self.model: SasRecModel | None = None
        self._table: Tensor | None = None

    def _build(self, text: np.ndarray | None) -> SasRecModel:
        torch.manual_seed(self.spec.seed)
        model = SasRecModel(
            self.dataset.n_items, self.length, self.options["width"], self.options["layers"], self.options["heads"],
            self.spec.training.dropout, None if text is None else torch.from_numpy(text),
        )  # fmt: skip
        return model.to(self.device)

    def _text(self, context: RunContext | None = None) -> np.ndarray | None:
        if self.spec.recommender.family != "text-sasrec":
            return None
        from llmrec_core.models.embeddings import catalogue_embeddings

        progress = (lambda done, total: context.progress("encode", done, total)) if context else None
        chosen = self.spec.recommender
        return catalogue_embeddings(
            chosen.backbone, item_texts(self.dataset, genres=True), self.settings, depth=chosen.depth, progress=progress
        )

    def fit(self, split: Split, context: RunContext) -> None:
        sequences = [np.asarray(s) for s in split.train if len(s) >= 2]
        if not sequences:
            raise DataError("no user has two training interactions: there is no sequence to learn; use popularity")
        self.model = model = self._build(self._text(context))
        self._start_from_cooccurrences(model, split)
        self._table = None
        training, seed, items = self.spec.training, self.spec.seed, self.dataset.n_items
        weights, ahead = self._weights(split, context), self.options["ahead"]

        def loss_at(step: int) -> Tensor:
            rng = np.random.default_rng((seed, step))
            batch = np.full((training.batch_histories, self.length + 1), items, dtype=np.int64)
            lengths = np.zeros((training.batch_histories, 1), dtype=np.int64)
            for row, chosen in enumerate(rng.integers(len(sequences), size=training.batch_histories)):
                sequence = sequences[chosen]
                end = len(sequence)
                if end > self.length + 1:  # a window that ends anywhere, so that every item is a target
                    end = int(rng.integers(self.length + 1, end + 1))
                window = sequence[max(0, end - self.length - 1) : end]
                batch[row, : len(window)] = window
                lengths[row] = len(window)
            places = np.arange(1, self.length + 1)[None]
            real = torch.from_numpy(places < lengths).to(self.device)
            if ahead > 1:
                places = np.minimum(places + rng.integers(ahead, size=(len(batch), self.length)), lengths - 1)
            wanted = np.take_along_axis(batch, np.broadcast_to(places, (len(batch), self.length)), 1)
            tokens = torch.from_numpy(batch).to(self.device)
            table = model.vectors()
            states = model(tokens[:, :-1], table)[real]
            targets = torch.from_numpy(wanted).to(self.device)[real]
            if weights is None:
                return F.cross_entropy(states @ table[:items].T, targets)
            each = F.cross_entropy(states @ table[:items].T, targets, reduction="none")
            return (weights[targets] * each).sum() / weights[targets].sum()  # self-normalised: bounded, a little biased

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            self._table = None
            return self.score(histories, candidates)

        self.result = train(model, loss_at, training, context, seed=seed, validate=validator(split, score, self.spec))
        self._table = None

    def _start_from_cooccurrences(self, model: SasRecModel, split: Split) -> None:
        """Id vectors start from co-occurrences; items without a neighbour in training keep their random start.

        With text, its projection starts as the ridge regression of those vectors on the embeddings and the id vectors as
        what it leaves, so that an item nobody has taken starts where its text says.
        """
        if not self.cooccurrence:
            return
        window = 0 if self.dataset.order == "none" else WINDOW
        counts = co_occurrences(split.train, self.dataset.n_items, window=window)
        vectors = torch.from_numpy(self.cooccurrence * item_vectors(counts, self.options["width"], self.spec.seed))
        vectors = F.pad(vectors, (0, self.options["width"] - vectors.shape[1])).to(self.device)
        known = torch.nonzero(vectors.any(dim=1)).ravel()
        with torch.no_grad():
            if model.text is not None:
                texts = model.text_vectors[known]
                gram = texts.T @ texts + RIDGE * torch.eye(texts.shape[1], device=texts.device)
                model.text.weight.copy_(torch.linalg.solve(gram, texts.T @ vectors[known]).T)
                vectors[known] -= model.text(texts)
            model.ids.weight[known] = vectors[known]

    def _weights(self, split: Split, context: RunContext) -> Tensor | None:
        """Clipped inverse propensity of every item as a target (option `ips` = gamma of the propensity model); None when off.

        Source: Schnabel et al., ICML 2016; propensities ∝ count^((gamma+1)/2) as in Yang et al., RecSys 2018.
        """
        if self.ips <= 0:
            return None
        counts = split.item_counts
        floor = 1.0 / self.clip
        weights = 1.0 / popularity_propensities(counts, self.ips, floor)
        per_target = np.repeat(weights, counts)
        share = effective_n(per_target) / max(len(per_target), 1)
        clipped = float((per_target >= self.clip * (1 - 1e-9)).mean())
        self.propensity = {"gamma": self.ips, "clip": self.clip, "effective_share": share, "clipped_share": clipped}
        context.log(
            f"propensity weights: gamma {self.ips:g}, clipped at {self.clip:g} for {clipped:.0%} of the targets; the variance "
            f"is that of {share:.0%} as many targets"
        )
        return torch.from_numpy(weights.astype(np.float32)).to(self.device)

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        if self.model is None:
            self.model = self._build(self._text())
        self.model.eval()
        if self._table is None:
            self._table = self.model.vectors().detach()
        table, items = self._table, self.dataset.n_items
        lengths = np.array([min(len(h), self.length) for h in histories])
        sequences = np.full((len(histories), max(int(lengths.max(initial=0)), 1)), items, dtype=np.int64)
        for row, history in enumerate(histories):
            recent = np.asarray(history, dtype=np.int64)[-self.length :]
            sequences[row, : len(recent)] = recent
        scores = np.empty(candidates.shape, dtype=np.float32)
        for start in range(0, len(histories), 256):
            rows = slice(start, start + 256)
            states = self.model(torch.from_numpy(sequences[rows]).to(self.device), table)
            read = torch.from_numpy(lengths[rows]).to(self.device)
            users = states[torch.arange(len(states)), (read - 1).clamp(min=0)]
            users = users * (read > 0)[:, None]  # no history: every item scores 0
            offered = torch.from_numpy(np.maximum(candidates[rows], 0).astype(np.int64)).to(self.device)
            scores[rows] = torch.einsum("be,bne->bn", users, table[offered]).cpu().numpy()
        return np.where(candidates >= 0, scores, -np.inf)

    def save(self, folder: Path) -> None:
        if self.model is None:
            raise CheckpointError("SASRec has no weights yet; fit it before saving")
        state = {"spec": self.spec.to_dict(), "content_hash": self.dataset.content_hash}
        write_folder(folder, {"weights": self.model.state_dict()}, state)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> SasRec:
        from llmrec_core.settings import load_settings

        tensors, state = read_folder(folder)
        if state["content_hash"] != dataset.content_hash:
            raise CheckpointError(f"{folder} was trained on other data; load it with its own data version")
        made = cls(run_from_dict(state["spec"]), dataset, settings or load_settings())
        text = tensors["weights"].get("text_vectors")
        made.model = made._build(None if text is None else text[:-1].numpy())
        made.model.load_state_dict(tensors["weights"])
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        width, layers = self.options["width"], self.options["layers"]
        steps = min(history_items, self.length)
        per_token = 2 * (4 * width * width + 8 * width * width)
        flops = layers * (steps * per_token + 4 * steps * steps * width) + 2 * candidates * width
        tensors = list(self.model.state_dict().values()) if self.model else []
        notes: dict[str, Any] = {"layers": layers, "cooccurrence": self.cooccurrence}
        if self.propensity:
            notes["propensity"] = self.propensity
        parameters = sum(p.numel() for p in self.model.parameters()) if self.model else 0
        return Description(
            parameters,
            parameters,
            sum(t.numel() * t.element_size() for t in tensors),
            float(flops),
            notes,
        )
