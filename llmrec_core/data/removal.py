"""What is known of one person leaves a stored data set, on their request.

Every version is written anew without the person's interactions. Their row in the users' table stays
without content, under an invented id, so that the codes of all others, which records name, stay as
they are. The cleaning reports and the evidence of the import may quote any row, so they go as well.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llmrec_core.data import store
from llmrec_core.data.dataset import Dataset, content_hash
from llmrec_core.data.manifest import Manifest, Version
from llmrec_core.errors import UsageError
from llmrec_core.files import write_text
from llmrec_core.language import t
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

PEOPLE = (Columns.USER_ID, "friend_id")
"""Columns of further tables that name people."""


@dataclass(frozen=True)
class Removed:
    """What has left a data set."""

    user: int
    """The person's code in every version that had them."""
    interactions: int
    """Of all versions together."""
    versions: int


def remove_person(name: str, user_id: str, settings: Settings) -> Removed:
    """Write every version of a data set anew without one person.

    The new folder takes the place of the old one by two renames; a reader between them finds no
    such data set, and one that dies between them leaves both folders.

    Args:
        name: of the data set, without a version.
        user_id: the person, as in the file.
        settings: where the home is.

    Raises:
        UsageError: for an unknown data set or person, or one whose code differs between versions.
        DataError: when a version is damaged; nothing is changed then.
    """
    stored = store.manifest(name, settings)
    folder = store.folder_of(name, settings)
    with store.lock(name, settings):
        unfinished = Path(tempfile.mkdtemp(prefix=store.UNFINISHED, dir=settings.datasets))
        try:
            parts = list(_rewritten(stored, user_id, settings, unfinished / "new"))
            codes = {code for _, code, _ in parts if code is not None}
            if len(codes) != 1:
                raise _unknown(name, user_id, len(codes))
            after = stored.model_copy(update={"versions": [version for version, *_ in parts]})
            write_text(unfinished / "new" / "dataset.json", after.model_dump_json(indent=1))
            folder.rename(unfinished / "old")
            (unfinished / "new").rename(folder)
        finally:
            shutil.rmtree(unfinished)
    return Removed(
        codes.pop(),
        sum(count for *_, count in parts),
        sum(code is not None for _, code, _ in parts),
    )


def _unknown(name: str, user_id: str, codes: int) -> UsageError:
    if not codes:
        return UsageError(t("{name} has no user {user!r}", name=name, user=user_id))
    return UsageError(
        t(
            "user {user!r} has several codes in the versions of {name}, so records cannot be told "
            "apart; delete the data set: data delete {name}",
            user=user_id,
            name=name,
        )
    )


def _rewritten(
    stored: Manifest, user_id: str, settings: Settings, target: Path
) -> Iterator[tuple[Version, int | None, int]]:
    """Each version as it is from now on, the person's code in it, and how many rows it lost."""
    for version in stored.versions:
        before = store.load(f"{stored.name}@{version.number}", settings)
        users = before.users[Columns.USER_ID].astype(str).tolist()
        code = users.index(user_id) if user_id in users else None
        after = before if code is None else without(before, code)
        lost = len(before.interactions) - len(after.interactions)
        files = store.write_tables(after, target / f"v{version.number}")
        changes: dict[str, object] = {"files": files}
        if code is not None:
            changes |= {
                "content_hash": after.content_hash,
                "formerly": [*version.formerly, version.content_hash],
                "interactions": len(after.interactions),
                "note": t("{note}; a person removed on request", note=version.note),
                "tables": [],
                "report": None,
            }
        yield version.model_copy(update=changes), code, lost


def without(dataset: Dataset, user: int) -> Dataset:
    """Return a data set without what is known of one person.

    Args:
        dataset: any.
        user: the person's code.
    """
    user_id = str(dataset.users[Columns.USER_ID].iloc[user])
    rows = dataset.interactions
    kept = rows[rows[Columns.USER] != user].reset_index(drop=True)
    users = dataset.users.copy()
    users.loc[users.index[user], list(users.columns)] = None
    users.loc[users.index[user], Columns.USER_ID] = f"removed-{user}"
    extras = {name: _without_rows(table, user_id) for name, table in dataset.extras.items()}
    return dataclasses.replace(
        dataset,
        interactions=kept,
        users=users,
        extras=extras,
        content_hash=content_hash(kept, dataset.items, users, extras),
    )


def _without_rows(table: pd.DataFrame, user_id: str) -> pd.DataFrame:
    """A further table without the rows that name the person."""
    columns = [column for column in PEOPLE if column in table]
    names = table[columns].astype(str).eq(user_id).any(axis=1)
    return table[~names].reset_index(drop=True)
