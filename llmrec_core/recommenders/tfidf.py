"""Content-based: TF-IDF or BM25 between the words of the history's items and a candidate's. Needs no other user.

TF-IDF: cosine of (1 + log tf)·idf vectors. BM25 (Robertson & Zaragoza, FnTIR 2009): the history's words are the
query, a candidate's text the document, k1 = 1.5, b = 0.75. Words are lower-cased without accents; genres count as
words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from llmrec_core.data.text import fold, item_texts, require_titles
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext

K1, B = 1.5, 0.75
MANY = 16  # above 1/16 of the catalogue, scoring all of it is faster than picking rows


class TfIdf:
    """Scores by shared words.

    Args:
        history_items: most recent items that count; 0 = all.
        bm25: BM25 instead of the TF-IDF cosine.
        genres: whether genres are part of the text.
        decay: weight of an item against the next more recent one.
        popularity: weight of log popularity; 0 keeps the score purely textual.
    """

    def __init__(
        self,
        history_items: int = 10,
        bm25: bool = False,
        genres: bool = True,
        decay: float = 0.9,
        popularity: float = 0.0,
    ) -> None:
        self.history_items, self.bm25, self.genres = int(history_items), bool(bm25), bool(genres)
        self.decay, self.popularity = decay, popularity
        self.queries = self.documents = sparse.csr_array((0, 0), dtype=np.float32)  # (items, words) each
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
        """Raises UnsupportedError when the items have no titles."""
        require_titles(split.dataset, "BM25" if self.bm25 else "TF-IDF")
        self.counts = split.item_counts
        self.index(item_texts(split.dataset, genres=self.genres))
        context.progress("fit", 1, 1)

    def index(self, texts: Sequence[str]) -> None:
        """Makes the word vectors of the items; texts in the order of the codes."""
        tf = _term_counts(texts)
        present = np.bincount(tf.indices, minlength=tf.shape[1])
        if self.bm25:
            idf = np.log1p((len(texts) - present + 0.5) / (present + 0.5))
            length = tf.sum(axis=1)
            norm = K1 * (1 - B + B * length / max(length.mean(), 1e-9))
            rows = np.repeat(np.arange(tf.shape[0]), np.diff(tf.indptr))
            documents = tf.copy()
            documents.data = tf.data * (K1 + 1) / (tf.data + norm[rows]) * idf[tf.indices]
            self.queries, self.documents = tf.astype(np.float32), documents.astype(np.float32)
        else:
            idf = np.log((1 + len(texts)) / (1 + present)) + 1
            vectors = tf.copy()
            vectors.data = (1 + np.log(tf.data)) * idf[tf.indices]
            norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
            unit = sparse.diags_array(1 / np.maximum(norms, 1e-12)) @ vectors
            self.queries = self.documents = sparse.csr_array(unit, dtype=np.float32)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        recent = [history[-self.history_items :] if self.history_items else history for history in histories]
        starts = np.cumsum([0, *map(len, recent)])
        age = np.concatenate([self.decay ** np.arange(len(items) - 1, -1, -1, dtype=np.float32) for items in recent])
        shape = (len(recent), self.queries.shape[0])
        words = sparse.csr_array((age, np.concatenate(recent).astype(np.int64), starts), shape=shape) @ self.queries
        if MANY * candidates.shape[1] > self.documents.shape[0]:
            scores = np.take_along_axis((words @ self.documents.T).toarray(), candidates, axis=1)
        else:
            # Few candidates: their rows alone.
            pairs = zip(words.toarray(), candidates, strict=True)
            scores = np.stack([self.documents[items] @ row for row, items in pairs])
        scores = scores + (self.popularity * np.log1p(self.counts))[candidates]
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        parts = {"queries": self.queries, "documents": self.documents}
        arrays = {
            f"{name}_{field}": getattr(matrix, field)
            for name, matrix in parts.items()
            for field in ("data", "indices", "indptr", "shape")
        }
        options = np.array([self.history_items, self.bm25, self.genres, self.decay, self.popularity])
        save_arrays(folder, "tf-idf", counts=self.counts, options=options, **arrays)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> TfIdf:
        stored = load_arrays(folder, "tf-idf", dataset)
        history_items, bm25, genres, decay, popularity = stored["options"].tolist()
        made = cls(int(history_items), bool(bm25), bool(genres), decay, popularity)
        made.counts = stored["counts"]
        made.queries, made.documents = (
            sparse.csr_array(
                (stored[f"{name}_data"], stored[f"{name}_indices"], stored[f"{name}_indptr"]),
                shape=tuple(stored[f"{name}_shape"]),
            )
            for name in ("queries", "documents")
        )
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        """One multiply-add per word of the history's items and per word of each candidate."""
        used = min(history_items, self.history_items) if self.history_items else history_items
        words = self.documents.nnz / max(self.documents.shape[0], 1)
        matrices = (self.documents,) if self.queries is self.documents else (self.documents, self.queries)
        weight_bytes = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in matrices)
        stored = sum(m.nnz for m in matrices)
        return Description(stored, 0, weight_bytes, 2.0 * words * (used + candidates), {"mean_words": words})


class Bm25(TfIdf):
    """`TfIdf` with BM25 weights: the same class under the name that people look for."""

    def __init__(
        self,
        history_items: int = 10,
        bm25: bool = True,
        genres: bool = True,
        decay: float = 0.9,
        popularity: float = 0.0,
    ) -> None:
        super().__init__(history_items, bm25, genres, decay, popularity)


def _term_counts(texts: Sequence[str]) -> sparse.csr_array:
    """Word counts, float64 (items, words); words in order of first appearance."""
    vocabulary: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        for word in fold(text).split():
            rows.append(row)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
    counts = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), max(len(vocabulary), 1)))
    return counts.tocsr()
