"""Contrastive training: every item of some histories is told apart from what else the batch reads.

A step draws windows of B people (training/windows.py). The items of all windows are its pool, with
items drawn uniformly and mined ones beside them; each is read once. Every place of a window asks
with the decayed sum of the items up to it, and the softmax over the pool has to find the target
(InfoNCE, van den Oord et al. 2018, arXiv:1807.03748). What the person took at another time is no
negative. An item is in the pool by its popularity: a logit less the logarithm of that chance makes
the sum over the pool an estimate of the sum over the catalogue (Yi et al., RecSys 2019).

Symbols: B people, L places of a window, U items of the pool, P targets, E width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llmrec_core.data.splits import Split
from llmrec_core.training.windows import WindowSampler

NEAREST = 20
"""Items of which a mined negative is drawn: those with the likest text vectors."""
ROWS = 1024
"""Items whose likeness to all others is computed together."""


@dataclass(frozen=True)
class ContrastOptions:
    """What is drawn, and what it counts."""

    window: int
    """L, most items of a window that ask."""
    decay: float
    """Weight of an item against the next more recent one."""
    ahead: int
    """A place's target is drawn from the next so many items."""
    negatives: int
    """Items drawn uniformly from those with training, for a step."""
    mined: int
    """Mined items a window."""
    popularity: float
    """Weight of log popularity in the score."""
    correction: float
    """Share of the logarithm of an item's chance that its logit loses as a negative."""


@dataclass(frozen=True)
class ContrastBatch:
    """What one step reads and asks."""

    pool: np.ndarray
    """Distinct item codes in order, int64, shape (U,)."""
    inputs: np.ndarray
    """Places in the pool, shape (B, L); 0 where there is no item."""
    targets: np.ndarray
    """Places in the pool, shape (B, L)."""
    real: np.ndarray
    """True where something is asked, shape (B, L)."""
    taken: np.ndarray
    """True where the person took the item at any time in training, shape (B, U)."""
    log_chance: np.ndarray
    """Logarithm of an item's chance to be in the pool, float32, shape (U,)."""


class ContrastSampler:
    """Draws the batches of a contrastive training; batch n depends on (seed, n) alone."""

    def __init__(
        self, split: Split, options: ContrastOptions, seed: int, vectors: np.ndarray | None = None
    ) -> None:
        """Find out who can be learned from, and what is near to what.

        Args:
            split: only its training sequences are read.
            options: what is drawn.
            seed: of all draws.
            vectors: text vectors of length 1 by which negatives are mined, shape (items, E); None
                where none are.

        Raises:
            DataError: when no sequence has two items.
        """
        self.options, self.seed = options, seed
        self.windows = WindowSampler(
            split.train,
            length=options.window,
            padding=split.dataset.n_items,
            seed=seed,
            ahead=options.ahead,
        )
        self.trained = np.flatnonzero(split.item_counts)
        """Items with training: others are never negatives, as nothing is known against them."""
        self.negatives = min(options.negatives, len(self.trained))
        self.in_window = self._chance_in_window(split.dataset.n_items)
        self.near: np.ndarray | None = None
        if vectors is not None and options.mined and len(self.trained) > 1:
            self.near = nearest(vectors, self.trained)

    def _chance_in_window(self, items: int) -> np.ndarray:
        """Chance of each item to be in the window of somebody drawn, float64, shape (items,)."""
        longest = self.options.window + 1
        chance = np.zeros(items)
        for sequence in self.windows.sequences:
            chance[np.unique(sequence)] += min(1.0, longest / len(sequence))
        return chance / len(self.windows.sequences)

    def draw(self, number: int, size: int) -> ContrastBatch:
        """Batch `number`, of `size` people."""
        windows = self.windows.draw(number, size)
        assert windows.people is not None, "the sampler says whose windows these are"
        sequences = [self.windows.sequences[person] for person in windows.people]
        rng = np.random.default_rng((self.seed, number, 1))
        padding = self.windows.padding
        read = np.concatenate((windows.inputs.ravel(), windows.targets[windows.real]))
        by_chance = [
            np.unique(read[read < padding]),
            rng.choice(self.trained, self.negatives, replace=False),
        ]
        mined = self._mined(windows.targets, windows.real, rng)
        pool = np.unique(np.concatenate([*by_chance, mined])).astype(np.int64)
        chance = 1 - (1 - self.in_window[pool]) ** size * (1 - self.negatives / len(self.trained))
        # a mined item stands for itself alone
        chance[~np.isin(pool, np.concatenate(by_chance))] = 1.0
        places = np.searchsorted(pool, np.minimum(windows.inputs, pool[-1]))
        return ContrastBatch(
            pool,
            np.where(windows.inputs < padding, places, 0),
            np.searchsorted(pool, np.where(windows.real, windows.targets, pool[0])),
            windows.real,
            np.stack([np.isin(pool, sequence) for sequence in sequences]),
            np.log(chance).astype(np.float32),
        )

    def _mined(self, targets: np.ndarray, real: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Items with texts like those of some targets, `mined` a window, item codes."""
        if self.near is None:
            return np.zeros(0, np.int64)
        drawn = [
            self.near[rng.choice(row[there], self.options.mined), rng.integers(self.near.shape[1])]
            for row, there in zip(targets, real, strict=True)
        ]
        return np.concatenate(drawn)


def nearest(vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The likest other items of each item, likest first, item codes, shape (items, NEAREST).

    Fewer columns where `among` is smaller.

    Args:
        vectors: of length 1, shape (items, E).
        among: codes of the items that may be named, at least two.
    """
    count = min(NEAREST, len(among) - 1)
    near = np.empty((len(vectors), count), dtype=np.int64)
    for start in range(0, len(vectors), ROWS):
        likeness = vectors[start : start + ROWS] @ vectors[among].T
        codes = np.arange(start, start + len(likeness))
        likeness[codes[:, None] == among[None]] = -np.inf
        near[codes] = among[np.argsort(-likeness, axis=1, kind="stable")[:, :count]]
    return near


def contrast_loss(
    asks: Tensor,
    answers: Tensor,
    popularity: Tensor,
    batch: ContrastBatch,
    options: ContrastOptions,
) -> Tensor:
    """Cross-entropy of every target among the pool, mean over P.

    Args:
        asks: asking vectors of the pool, shape (U, E).
        answers: answering vectors of the pool, shape (U, E).
        popularity: logarithm of one plus each item's training interactions, shape (U,).
        batch: says which of them are asked where.
        options: decay, weight of popularity and correction.
    """
    device = asks.device
    inputs, targets, real, taken = (
        torch.from_numpy(part).to(device)
        for part in (batch.inputs, batch.targets, batch.real, batch.taken)
    )
    length = inputs.shape[1]
    ages = torch.arange(length, device=device)
    ages = ages[:, None] - ages[None]
    weights = torch.where(ages >= 0, options.decay ** ages.clamp(min=0).float(), 0.0)
    states = torch.einsum("ts,bse->bte", weights, asks[inputs])[real]  # (P, E)
    right = targets[real]
    logits = states @ answers.T + options.popularity * popularity  # (P, U)
    others = logits - options.correction * torch.from_numpy(batch.log_chance).to(device)
    people = torch.arange(len(inputs), device=device)[:, None].expand_as(real)[real]
    others = others.masked_fill(taken[people], -math.inf)
    own = functional.one_hot(right, logits.shape[1]).bool()
    return functional.cross_entropy(torch.where(own, logits, others), right)
