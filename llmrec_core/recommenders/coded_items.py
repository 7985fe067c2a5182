"""What recommenders share whose items are rows of codes, made from their texts before training.

Families say how vectors become codes and which model reads them; here codes are made, kept beside
the weights, told of on the run's page and taken up again by a training that goes on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from llmrec_core.contract.families import family_title
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.item_texts import item_texts
from llmrec_core.data.text import require_titles
from llmrec_core.language import t
from llmrec_core.models.code_by_code_model import CodeByCodeModel
from llmrec_core.models.codes_model import CodesModel
from llmrec_core.models.product_codes import Groups, groups_of
from llmrec_core.recommenders.sequence_recommender import SequenceRecommender
from llmrec_core.recommenders.text_vectors import catalogue_vectors, text_vectors
from llmrec_core.training.checkpoints import MANIFEST, read_folder, write_folder
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

CODEBOOK = 256
"""Centroids of a code, where as many texts differ and the spec says nothing else."""


class TurnsIntoCodes(Protocol):
    """A fitted quantiser: a dataclass of arrays."""

    @property
    def centroids(self) -> np.ndarray:
        """Float32, shape (codes of an item, centroids of each, width)."""

    def codes(self, vectors: np.ndarray) -> np.ndarray:
        """Codes of vectors (N, W), int64, shape (N, codes of an item)."""


Maker = TypeVar("Maker", bound=TurnsIntoCodes)
Coded = TypeVar("Coded", bound=CodesModel | CodeByCodeModel)


@dataclass(frozen=True)
class ItemCodes(Generic[Maker]):
    """What the items are made of, before anything is trained."""

    quantiser: Maker
    codes: np.ndarray
    """Int64, shape (items, codes)."""


class CodedItems(SequenceRecommender[Coded], Generic[Coded, Maker]):
    """Makes codes of the catalogue's texts; families train and score a model that reads them."""

    quantiser_class: ClassVar[type]
    """Of the quantiser; its fields are arrays."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; codes and weights are made by `fit` or `load`.

        Raises:
            UsageError: when the heads do not divide the width.
        """
        super().__init__(spec, dataset, settings)
        self._item_codes: ItemCodes[Maker] | None = None

    @abstractmethod
    def _quantise(
        self, vectors: np.ndarray, codebook: int, progress: Callable[[int, int], None] | None
    ) -> Maker:
        """Learn to turn vectors into codes.

        Args:
            vectors: of the catalogue, float32, shape (items, any width).
            codebook: centroids of each code.
            progress: called with codes done and all of them.
        """

    @abstractmethod
    def _shaped(self, quantiser: Maker, largest_group: int) -> Coded:
        """A fresh model whose items have no codes yet.

        Args:
            quantiser: made the codes.
            largest_group: items of the largest group that shares all its codes.
        """

    def prepare(self, split: Split, context: RunContext) -> None:
        """Make the codes, or take those with which the run began; see `Prepares`.

        Raises:
            UnsupportedError: when no item has a title.
            UsageError: for codes that these texts cannot be given.
        """
        folder = context.folder / "checkpoints" / "codes"
        of = {"spec": self.spec.hash, "content_hash": self.dataset.content_hash}
        self._item_codes = None
        if (folder / MANIFEST).exists():  # a run that goes on must mean the same by its weights
            tensors, state = read_folder(folder)
            self._item_codes = self._restored(tensors) if state == of else None
        if self._item_codes is None:
            self._item_codes = self._make(context)
            write_folder(folder, self._beside(), of)
        self._say(groups_of(self._item_codes.codes, split.item_counts), context)

    def _make(self, context: RunContext | None = None) -> ItemCodes[Maker]:
        require_titles(self.dataset, family_title(self.spec.recommender.family))
        vectors = catalogue_vectors(self.spec, self.dataset, self.settings, context)
        vectors = _alike(vectors, self.dataset, self.spec.recommender.relations)
        quantiser = self._quantise(
            vectors,
            self.options["codebook"] or min(CODEBOOK, len(np.unique(vectors, axis=0))),
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

    def _begin(self, split: Split, context: RunContext) -> Coded:
        """The model to be trained: of codes that are made now unless they were before."""
        if self._item_codes is None:
            self.prepare(split, context)
        assert self._item_codes is not None, "prepare makes the codes"
        self.model = self._build(
            self._item_codes, groups_of(self._item_codes.codes, split.item_counts)
        )
        self._forget()
        return self.model

    def _untrained(self) -> Coded:
        if self._item_codes is None:
            self._item_codes = self._make()
        groups = groups_of(self._item_codes.codes, np.zeros(self.dataset.n_items))
        return self._build(self._item_codes, groups)

    def _build(self, item_codes: ItemCodes[Maker], groups: Groups) -> Coded:
        model = self._shaped(item_codes.quantiser, groups.largest)
        model.set_codes(torch.from_numpy(item_codes.codes), groups)
        model.to(self.device)
        return model

    def _of_stored(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> Coded:
        self._item_codes = self._restored(tensors)
        codes, codebook, _ = self._item_codes.quantiser.centroids.shape
        rows = len(tensors["weights"]["code_vectors.weight"])
        model = self._shaped(self._item_codes.quantiser, rows - codes * codebook)
        model.to(self.device)
        return model

    def _beside(self) -> dict[str, dict[str, Tensor]]:
        if self._item_codes is None:
            return {}
        quantiser = self._item_codes.quantiser
        names = [field.name for field in fields(self.quantiser_class)]
        tensors = {name: torch.from_numpy(getattr(quantiser, name)) for name in names}
        return {"quantiser": {**tensors, "codes": torch.from_numpy(self._item_codes.codes)}}

    def _restored(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> ItemCodes[Maker]:
        stored = {name: tensor.numpy() for name, tensor in tensors["quantiser"].items()}
        codes = stored.pop("codes")
        return ItemCodes(self.quantiser_class(**stored), codes)

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`: the same centroids make codes of the other titles.

        Items that came to share their codes stand in the order of their codes, not of popularity.
        """
        model = self.network()
        assert self._item_codes is not None, "a model has codes"
        vectors = text_vectors(self.spec, dataset, settings)
        vectors = _alike(vectors, dataset, self.spec.recommender.relations)
        codes = self._item_codes.quantiser.codes(vectors)
        model.set_codes(torch.from_numpy(codes), groups_of(codes, np.zeros(len(codes))))
        self._forget()


def _alike(vectors: np.ndarray, dataset: Dataset, relations: int) -> np.ndarray:
    """The same vector for the same text: those of one pass differ a little from another's."""
    texts = item_texts(dataset, relations=relations)
    _, first, text = np.unique(texts, return_index=True, return_inverse=True)
    same: np.ndarray = vectors[first[text]]
    return same
