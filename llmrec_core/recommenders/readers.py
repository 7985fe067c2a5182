"""The reader of a run: a language model that reads candidates one by one, or whole lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmrec_core.contract.letters import HEAD, require_few, require_taught
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.recommenders.listwise import ListwiseRecommender
from llmrec_core.recommenders.stored import required_spec

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.settings import Settings


class Reader:
    """Makes and loads readers; as `FamilyClass`, it is the loader of the family `decoder`."""

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> LanguageModelRecommender:
        """A reader to be fitted, or with the weights of another run.

        Raises:
            UsageError: when the other run's head is not the one that the spec names, or its lists
                would have more items than letters.
        """
        if parent is None:
            return _class_of(spec.recommender.head).of_spec(spec, dataset, settings, None)
        reader = parent / "reader"
        folder = reader if reader.is_dir() else parent
        stored = required_spec(folder)
        head = stored.recommender.head
        _require_same_kind(spec, head)
        if head == HEAD and stored.recommender.adaptation != "none":
            require_taught(spec, stored.training.negatives)
        return _class_of(head).load(folder, dataset, settings, variant=spec)

    @classmethod
    def load(
        cls, folder: Path, dataset: Dataset, settings: Settings | None = None
    ) -> LanguageModelRecommender:
        """The reader saved in a folder.

        Raises:
            CheckpointError: as `LanguageModelRecommender.load`.
        """
        head = required_spec(folder).recommender.head
        return _class_of(head).load(folder, dataset, settings)


def _class_of(head: str) -> type[LanguageModelRecommender]:
    return ListwiseRecommender if head == HEAD else LanguageModelRecommender


def _require_same_kind(spec: RunSpec, head: str) -> None:
    """Refuse weights of a head that reads in another way than the spec asks for."""
    chosen = spec.recommender
    if chosen.family != "cascade" and (chosen.head == HEAD) != (head == HEAD):
        raise UsageError(
            t(
                "recommender.head is {head!r}, but the run {source!r} was made with head "
                "{stored!r}; name the same head",
                head=chosen.head,
                source=spec.weights_from,
                stored=head,
            )
        )
    if head == HEAD:
        require_few(chosen)
    if head != HEAD and "orders" in chosen.options:
        raise UsageError(
            t(
                "recommender.options has 'orders', but the run {source!r} reads every candidate "
                "alone (head {stored!r}); leave it out",
                source=spec.weights_from,
                stored=head,
            )
        )
