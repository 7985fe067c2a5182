"""Matrix factorisation by the library `implicit`: ALS and BPR.

ALS is of Hu, Koren & Volinsky (ICDM 2008), BPR of Rendle et al. (UAI 2009). A request's user is
known only by a history: ALS solves for that user's factors, BPR takes the mean of the history's
item factors.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from llmrec_core.contract.recommender import mean_candidates, mean_items_read
from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.recommenders.options import MadeFromOptions
from llmrec_core.recommenders.recency import ReadsRecent, age_weights, most_recent
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split


class _Factoriser(Protocol):
    """A model of `implicit`."""

    item_factors: np.ndarray

    def fit(self, user_items: sparse.csr_matrix, **options: object) -> None:
        """Factorise."""


class Factors(ReadsRecent, MadeFromOptions):
    """What ALS and BPR have in common.

    Args:
        factors: width.
        l2: ridge.
        epochs: ALS sweeps, or BPR passes; None takes the family's usual number.
        history_items: most recent items that count; 0 takes all.
        decay: weight of an item against the next more recent one.
        seed: of the first factors.
        alpha: confidence that an interaction adds to 1; None takes the family's usual one, and BPR
            has none.
    """

    usual_epochs: ClassVar[int]
    usual_alpha: ClassVar[float] = 0.0

    def __init__(
        self,
        factors: int = 64,
        l2: float = 0.01,
        epochs: int | None = None,
        history_items: int = 0,
        decay: float = 0.9,
        seed: int = 0,
        alpha: float | None = None,
    ) -> None:
        self.factors, self.l2 = int(factors), l2
        self.epochs = self.usual_epochs if epochs is None else int(epochs)
        self.alpha = self.usual_alpha if alpha is None else alpha
        self.history_items, self.decay, self.seed = int(history_items), decay, int(seed)
        self.items = np.zeros((0, 0), np.float32)
        """Item factors, shape (items, width)."""
        self.counts = np.zeros(0, np.int64)

    @classmethod
    def constructor_values(cls, spec: RunSpec) -> dict[str, float]:
        """The options and the run's seed."""
        return {"seed": spec.seed, **spec.recommender.options}

    @abstractmethod
    def _factoriser(self) -> _Factoriser:
        """The model to fit; raises ImportError where `implicit` is not installed."""

    @abstractmethod
    def _user(self, recent: np.ndarray, age: np.ndarray) -> np.ndarray:
        """A user's factors, shape (width,), from the factors of recent items and their weights."""

    @abstractmethod
    def _user_flops(self, items: float, width: int) -> float:
        """FLOPs of `_user` for so many items."""

    def fit(self, split: Split, context: RunContext) -> None:
        """Factorise who took what.

        Raises:
            UnsupportedError: when `implicit` is not installed.
        """
        self.counts = split.item_counts
        lengths = [len(items) for items in split.train]
        users = np.repeat(np.arange(len(lengths)), lengths)
        seen = sparse.csr_matrix(
            (np.ones(sum(lengths), np.float32), (users, np.concatenate(split.train))),
            shape=(len(lengths), split.dataset.n_items),
        )
        with threadpool_limits(1, "blas"):  # `implicit` has threads of its own
            try:
                model = self._factoriser()
            except ImportError as error:
                raise UnsupportedError(
                    t(
                        "ALS and BPR need the package implicit; install it with: "
                        "pip install implicit"
                    )
                ) from error
            model.fit(
                seen,
                show_progress=False,
                callback=lambda done, *_: context.progress("fit", done + 1, self.epochs),
            )
        self.items = np.asarray(model.item_factors, dtype=np.float32)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""
        users = np.stack([self._user_of(history) for history in histories])
        scores = np.einsum("bf,bnf->bn", users, self.items[candidates])
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def _user_of(self, history: np.ndarray) -> np.ndarray:
        recent = most_recent(history, self.history_items)
        return self._user(self.items[recent], age_weights(len(recent), self.decay))

    def save(self, folder: Path) -> None:
        """Write the item factors, and the numbers that scoring needs."""
        # the first number said which of the two wrote the file, in version 0.1
        options = np.array([0.0, self.alpha, self.l2, self.history_items, self.decay])
        save_arrays(folder, "factors", counts=self.counts, items=self.items, options=options)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Self:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        stored = load_arrays(folder, "factors", dataset)
        _, alpha, l2, history_items, decay = stored["options"].tolist()
        loaded = cls(l2=l2, history_items=int(history_items), decay=decay, alpha=alpha)
        loaded.counts, loaded.items = stored["counts"], stored["items"]
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Building the user, and one product a candidate."""
        width = self.items.shape[1]
        user = self._user_flops(mean_items_read(histories, self.history_items), width)
        return Description(
            self.items.size,
            self.items.size,
            self.items.nbytes,
            user + 2.0 * width * mean_candidates(candidates),
        )


class Als(Factors):
    """Factors by alternating least squares; an interaction's confidence is 1 + `alpha`."""

    usual_epochs = 15
    usual_alpha = 10.0

    def _factoriser(self) -> _Factoriser:
        from implicit.cpu.als import AlternatingLeastSquares

        model: _Factoriser = AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.l2,
            iterations=self.epochs,
            random_state=self.seed,
            alpha=self.alpha,
        )
        return model

    def _user(self, recent: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Solve (YᵀY + Yᵀ(C−1)Y + λI) x = Yᵀ C p, with confidence 1 + alpha·age of the history."""
        width = self.items.shape[1]
        if not len(recent):
            return np.zeros(width, np.float32)
        gram = self.items.T @ self.items
        weighted = (recent * (self.alpha * age)[:, None]).T @ recent
        system = gram + weighted + self.l2 * np.eye(width)
        return np.linalg.solve(system, recent.T @ (1 + self.alpha * age)).astype(np.float32)

    def _user_flops(self, items: float, width: int) -> float:
        return 2.0 * items * width**2 + 2 / 3 * width**3


class Bpr(Factors):
    """Factors by Bayesian personalised ranking."""

    usual_epochs = 100

    def _factoriser(self) -> _Factoriser:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        model: _Factoriser = BayesianPersonalizedRanking(
            factors=self.factors,
            regularization=self.l2,
            iterations=self.epochs,
            random_state=self.seed,
        )
        return model

    def _user(self, recent: np.ndarray, age: np.ndarray) -> np.ndarray:
        """The weighted mean of the items, but for the last column: an item's bias meets 1 there."""
        user = age @ recent / max(age.sum(), 1e-9)
        user[-1] = 1.0
        return np.asarray(user, dtype=np.float32)

    def _user_flops(self, items: float, width: int) -> float:
        return 2.0 * items * width
