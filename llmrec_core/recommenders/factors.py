"""Matrix factorisation by `implicit` (optional): ALS (Hu et al., ICDM 2008) and BPR (Rendle et al., UAI 2009).

A request's user is known only by a history: ALS solves for that user's factors, BPR takes the mean of the history's
item factors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from llmrec_core.errors import UnsupportedError
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext


class Factors:
    """Item factors from ALS (`bpr=False`) or BPR.

    Args:
        factors: width.
        alpha: ALS confidence of an interaction, 1 + alpha.
        l2: ridge.
        epochs: ALS sweeps, or BPR passes.
        history_items: most recent items that count; 0 = all.
        decay: weight of an item against the next more recent one.
    """

    def __init__(
        self,
        bpr: bool = False,
        factors: int = 64,
        alpha: float = 10.0,
        l2: float = 0.01,
        epochs: int = 15,
        history_items: int = 0,
        decay: float = 0.9,
        seed: int = 0,
    ) -> None:
        self.bpr, self.factors, self.alpha, self.l2, self.epochs = bool(bpr), int(factors), alpha, l2, int(epochs)
        self.history_items, self.decay, self.seed = int(history_items), decay, int(seed)
        self.items = np.zeros((0, 0), np.float32)
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
        """Raises UnsupportedError when `implicit` is not installed."""
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            from implicit.cpu.als import AlternatingLeastSquares
            from implicit.cpu.bpr import BayesianPersonalizedRanking
        except ImportError as error:
            raise UnsupportedError(
                "ALS and BPR need the package implicit; install it with: pip install implicit"
            ) from error
        self.counts = split.item_counts
        lengths = [len(items) for items in split.train]
        users = np.repeat(np.arange(len(lengths)), lengths)
        seen = sparse.csr_matrix(
            (np.ones(sum(lengths), np.float32), (users, np.concatenate(split.train))),
            shape=(len(lengths), split.dataset.n_items),
        )
        common = {
            "factors": self.factors,
            "regularization": self.l2,
            "iterations": self.epochs,
            "random_state": self.seed,
        }
        model = (
            BayesianPersonalizedRanking(**common) if self.bpr else AlternatingLeastSquares(alpha=self.alpha, **common)
        )
        model.fit(seen, show_progress=False, callback=lambda done, *_: context.progress("fit", done + 1, self.epochs))
        self.items = np.asarray(model.item_factors, dtype=np.float32)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        users = np.stack([self._user(history) for history in histories])
        scores = np.einsum("bf,bnf->bn", users, self.items[candidates])
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def _user(self, history: np.ndarray) -> np.ndarray:
        recent = history[-self.history_items :] if self.history_items else history
        age = self.decay ** np.arange(len(recent) - 1, -1, -1, dtype=np.float32)
        mine = self.items[recent]
        if self.bpr or not len(recent):
            # The last BPR column is the item's bias; its partner in a user is 1.
            user = age @ mine / max(age.sum(), 1e-9)
            if self.bpr:
                user[-1] = 1.0
            return user
        # (YᵀY + Yᵀ(C−1)Y + λI) x = Yᵀ C p, with confidence 1 + alpha·age for the history.
        system = self._gram + (mine * (self.alpha * age)[:, None]).T @ mine + self.l2 * np.eye(self.items.shape[1])
        return np.linalg.solve(system, mine.T @ (1 + self.alpha * age)).astype(np.float32)

    @property
    def _gram(self) -> np.ndarray:
        return self.items.T @ self.items

    def save(self, folder: Path) -> None:
        options = np.array([self.bpr, self.alpha, self.l2, self.history_items, self.decay])
        save_arrays(folder, "factors", counts=self.counts, items=self.items, options=options)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Factors:
        stored = load_arrays(folder, "factors", dataset)
        bpr, alpha, l2, history_items, decay = stored["options"].tolist()
        made = cls(bool(bpr), alpha=alpha, l2=l2, history_items=int(history_items), decay=decay)
        made.counts, made.items = stored["counts"], stored["items"]
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        """Building the user (for ALS the normal equations of the history and their solution) and one product a candidate."""
        width = self.items.shape[1]
        used = min(history_items, self.history_items) if self.history_items else history_items
        user = 2.0 * used * width if self.bpr else 2.0 * used * width**2 + 2 / 3 * width**3
        return Description(self.items.size, self.items.size, self.items.nbytes, user + 2.0 * width * candidates)


class Als(Factors):
    """`Factors` by alternating least squares."""


class Bpr(Factors):
    """`Factors` by Bayesian personalised ranking."""

    def __init__(
        self,
        bpr: bool = True,
        factors: int = 64,
        alpha: float = 0.0,
        l2: float = 0.01,
        epochs: int = 100,
        history_items: int = 0,
        decay: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__(bpr, factors, alpha, l2, epochs, history_items, decay, seed)
