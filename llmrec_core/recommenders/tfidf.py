"""Content-based: TF-IDF or BM25 between the words of the history's items and a candidate's.

It needs no other user. TF-IDF is the cosine of (1 + log tf)·idf vectors, scikit-learn's. BM25
(Robertson & Zaragoza, FnTIR 2009) takes the history's words as the query and a candidate's text as
the document, with k1 = 1.5 and b = 0.75. Words are lower-cased without accents; genres count as
words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from llmrec_core.contract.recommender import mean_candidates, mean_items_read
from llmrec_core.data.item_texts import item_texts
from llmrec_core.data.text import fold, require_titles
from llmrec_core.recommenders.options import MadeFromOptions
from llmrec_core.recommenders.recency import SumsByAge, age_weights, most_recent
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

K1, B = 1.5, 0.75
MANY = 16
"""Above 1/16 of the catalogue, scoring all of it is faster than picking rows."""


class TfIdf(SumsByAge, MadeFromOptions):
    """Scores by shared words.

    Args:
        history_items: most recent items that count; 0 takes all.
        genres: whether genres are part of the text.
        relations: how many relations of an item are part of its text at most.
        decay: weight of an item against the next more recent one.
        popularity: weight of log popularity; 0 keeps the score purely textual.
    """

    title: ClassVar[str] = "TF-IDF"

    def __init__(
        self,
        history_items: int = 10,
        genres: bool = True,
        decay: float = 0.9,
        popularity: float = 0.0,
        relations: int = 0,
    ) -> None:
        self.history_items, self.genres = int(history_items), bool(genres)
        self.decay, self.popularity, self.relations = decay, popularity, int(relations)
        self.queries = self.documents = sparse.csr_array((0, 0), dtype=np.float32)
        """Word vectors of the items as history and as candidates, shape (items, words) each."""
        self.counts = np.zeros(0, np.int64)

    @classmethod
    def constructor_values(cls, spec: RunSpec) -> dict[str, float]:
        """The options, and what the spec gives to every reader of histories and of texts."""
        chosen = spec.recommender
        of_spec = {"history_items": chosen.history_items, "relations": chosen.relations}
        return {**of_spec, **chosen.options}

    def fit(self, split: Split, context: RunContext) -> None:
        """Index the items' words.

        Raises:
            UnsupportedError: when the items have no titles, or no relations where they are read.
        """
        require_titles(split.dataset, self.title)
        self.counts = split.item_counts
        self._index(item_texts(split.dataset, self.genres, self.relations))
        context.progress("fit", 1, 1)

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`."""
        self._index(item_texts(dataset, self.genres, self.relations))

    def _index(self, texts: Sequence[str]) -> None:
        """Make the word vectors of the items, whose texts stand in the order of the codes."""
        self.queries, self.documents = self.word_vectors(_term_counts(texts))

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> sparse.csr_array:
        """Vectors of length 1 of the texts, shape (texts, words)."""
        return cls.word_vectors(_term_counts(texts))[0]

    @staticmethod
    def word_vectors(counts: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Vectors of the items as history and as candidates, float32, from their word counts.

        Args:
            counts: how often each word stands in each item's text, shape (items, words).
        """
        unit = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
        vectors = sparse.csr_array(unit, dtype=np.float32)
        return vectors, vectors

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""
        recent = [most_recent(history, self.history_items) for history in histories]
        starts = np.cumsum([0, *map(len, recent)])
        age = np.concatenate([age_weights(len(items), self.decay) for items in recent])
        shape = (len(recent), self.queries.shape[0])
        words = (
            sparse.csr_array((age, np.concatenate(recent).astype(np.int64), starts), shape=shape)
            @ self.queries
        )
        if MANY * candidates.shape[1] > self.documents.shape[0]:
            scores = np.take_along_axis((words @ self.documents.T).toarray(), candidates, axis=1)
        else:
            pairs = zip(words.toarray(), candidates, strict=True)
            scores = np.stack([self.documents[items] @ row for row, items in pairs])
        scores = scores + (self.popularity * np.log1p(self.counts))[candidates]
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the word vectors, and the numbers that scoring needs."""
        arrays = {}
        for name, matrix in (("queries", self.queries), ("documents", self.documents)):
            arrays[f"{name}_data"] = matrix.data
            arrays[f"{name}_indices"] = matrix.indices
            arrays[f"{name}_indptr"] = matrix.indptr
            arrays[f"{name}_shape"] = np.array(matrix.shape)
        # the second number said which of the two classes wrote the file, in version 0.1
        numbers = [self.history_items, 0.0, self.genres, self.decay, self.popularity]
        options = np.array([*numbers, self.relations])
        save_arrays(folder, "tf-idf", counts=self.counts, options=options, **arrays)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> TfIdf:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        stored = load_arrays(folder, "tf-idf", dataset)
        history_items, _, genres, decay, popularity, *relations = stored["options"].tolist()
        loaded = cls(int(history_items), bool(genres), decay, popularity, *map(int, relations))
        loaded.counts = stored["counts"]
        loaded.queries, loaded.documents = (
            sparse.csr_array(
                (stored[f"{name}_data"], stored[f"{name}_indices"], stored[f"{name}_indptr"]),
                shape=tuple(stored[f"{name}_shape"]),
            )
            for name in ("queries", "documents")
        )
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One multiply-add per word of the history's items and per word of each candidate."""
        words = self.documents.nnz / max(self.documents.shape[0], 1)
        matrices = (
            (self.documents,) if self.queries is self.documents else (self.documents, self.queries)
        )
        weight_bytes = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in matrices)
        stored = sum(m.nnz for m in matrices)
        read = mean_items_read(histories, self.history_items)
        return Description(
            stored,
            0,
            weight_bytes,
            2.0 * words * (read + mean_candidates(candidates)),
            {"mean_words": words},
        )


class Bm25(TfIdf):
    """Scores by shared words, weighed as BM25 does."""

    title: ClassVar[str] = "BM25"

    @staticmethod
    def word_vectors(counts: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """As `TfIdf.word_vectors`: a query is plain counts, a document's weights saturate."""
        items = counts.shape[0]
        present = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log1p((items - present + 0.5) / (present + 0.5))
        length = counts.sum(axis=1)
        norm = K1 * (1 - B + B * length / max(length.mean(), 1e-9))
        rows = np.repeat(np.arange(items), np.diff(counts.indptr))
        documents = counts.copy()
        documents.data = counts.data * (K1 + 1) / (counts.data + norm[rows]) * idf[counts.indices]
        return counts.astype(np.float32), documents.astype(np.float32)


def _words(text: str) -> list[str]:
    return fold(text).split()


def _term_counts(texts: Sequence[str]) -> sparse.csr_array:
    """Word counts, float64, shape (items, words); words stand in order of first appearance."""
    vocabulary = list(dict.fromkeys(word for text in texts for word in _words(text)))
    counter = CountVectorizer(analyzer=_words, vocabulary=vocabulary or [""], dtype=np.float64)
    return sparse.csr_array(counter.transform(texts))
