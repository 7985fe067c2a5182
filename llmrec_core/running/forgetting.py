"""One person leaves everything that is stored of them: data set, records and, if asked, models."""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.data.removal import remove_person
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.owners import base_name
from llmrec_core.running.disk import remove_models


@dataclass(frozen=True)
class Forgotten:
    """What has gone."""

    user: int
    """The person's code in the data set."""
    interactions: int
    """Of all versions of the data set together."""
    versions: int
    runs: list[str]
    """Runs whose records were looked through."""
    models_bytes: int
    """What the removed models took on the disk."""


def forget_person(ledger: Ledger, name: str, user_id: str, *, with_models: bool) -> Forgotten:
    """Take one person's rows out of a data set and out of the records of its runs.

    Args:
        ledger: of the home; one of a person checks their role before anything goes.
        name: of the data set.
        user_id: the person, as in the file.
        with_models: whether models that were trained on the data set go too.

    Raises:
        UsageError: for an unknown data set or person.
        DataError: when a version is damaged; nothing is changed then.
        AccessError: when whoever asks may not do this.
    """
    name = base_name(name)
    removed = remove_person(name, user_id, ledger.settings)
    runs = ledger.remove_person(name, user_id, removed.user)
    freed = remove_models(ledger, runs) if with_models else 0
    return Forgotten(removed.user, removed.interactions, removed.versions, runs, freed)
