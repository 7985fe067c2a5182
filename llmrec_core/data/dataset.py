"""A data set as every part sees it: interactions with contiguous codes, items, users."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pandas as pd

from llmrec_core.data.text import clean_title, fold
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import t
from llmrec_core.types import Columns

RELATIONS = "relations"
"""Name among the extras of the facts of a knowledge graph: item_id, relation, entity."""


@dataclass(frozen=True)
class Dataset:
    """Tables of one version of a data set; two with equal `content_hash` give equal results."""

    name: str
    interactions: pd.DataFrame
    """Columns user, item (int32 codes), rating (float32, 1.0 when implicit), timestamp (float64,
    seconds; NaN when unknown), in file order."""
    items: pd.DataFrame
    """Index = item code; columns item_id, title, genres ("Action|Sci-Fi"), year (Int32, may be
    missing), all others as imported."""
    users: pd.DataFrame
    """Index = user code; user_id, then attributes."""
    content_hash: str
    title: str
    source: str
    order: str = "time"
    """What orders a user's items: `time` (ties in file order), `file` (the order of the rows),
    `none` (drawn by seed)."""
    extras: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Other tables: `edges` (user, friend), `pairs` (labelled prompts), `lists` (given candidates),
    `tags`, `relations` (facts of a knowledge graph: item_id, relation, entity)."""

    @property
    def n_users(self) -> int:
        """Users, also those without interactions."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Items, also those without interactions."""
        return len(self.items)

    @property
    def implicit(self) -> bool:
        """Whether all ratings are equal, so that an interaction is all that is known."""
        return bool(self.interactions[Columns.RATING].nunique() <= 1)

    def has_item(self, item_id: str) -> bool:
        """Whether an item has this id, as in the file."""
        return item_id in self._item_codes

    def item_code(self, item_id: str) -> int:
        """Code of an item id as in the file.

        Raises:
            UsageError: naming the nearest ids.
        """
        return self._code(self._item_codes, item_id, "item")

    def user_code(self, user_id: str) -> int:
        """Code of a user id as in the file.

        Raises:
            UsageError: naming the nearest ids.
        """
        return self._code(self._user_codes, user_id, "user")

    def find_titles(self, text: str, limit: int = 10) -> list[int]:
        """Items whose title matches `text`, best first.

        Best is equal, then equal without the year, begins with it, contains it, is similar.

        Accents, case, punctuation and the position of an article do not matter.

        Args:
            text: part of a title, in any case and with or without accents.
            limit: how many at most.
        """
        wanted = fold(clean_title(text))
        if not wanted:
            return []
        titles = self._folded_titles
        tests = (
            lambda title: title == wanted,
            lambda title: title.startswith(wanted) and title[len(wanted) :].strip().isdigit(),
            lambda title: title.startswith(wanted),
            lambda title: wanted in title,
        )
        matches = list(
            dict.fromkeys(
                code for test in tests for code, title in enumerate(titles) if test(title)
            )
        )
        if not matches:
            near = set(get_close_matches(wanted, set(titles), n=limit, cutoff=0.75))
            matches = [code for code, title in enumerate(titles) if title in near]
        return matches[:limit]

    def _code(self, codes: dict[str, int], wanted: str, what: str) -> int:
        code = codes.get(str(wanted))
        if code is None:
            near = get_close_matches(str(wanted), codes, n=3, cutoff=0.5)
            hint = (
                f"; nearest: {', '.join(near)}"
                if near
                else t("; ids look like {codes}", codes=", ".join(list(codes)[:3]))
            )
            raise UsageError(
                t(
                    "{name} has no {what} {wanted!r}{hint}",
                    name=self.name,
                    what=what,
                    wanted=wanted,
                    hint=hint,
                )
            )
        return code

    @cached_property
    def _item_codes(self) -> dict[str, int]:
        return {item: code for code, item in enumerate(self.items[Columns.ITEM_ID])}

    @cached_property
    def _user_codes(self) -> dict[str, int]:
        return {user: code for code, user in enumerate(self.users[Columns.USER_ID])}

    @cached_property
    def _folded_titles(self) -> list[str]:
        return [fold(title) for title in self.items[Columns.TITLE]]


def build_dataset(
    name: str,
    interactions: pd.DataFrame,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    *,
    title: str = "",
    source: str = "",
    order: str = "time",
    extras: dict[str, pd.DataFrame] | None = None,
    titles_are_clean: bool = False,
) -> Dataset:
    """A data set from tables with ids as strings.

    Codes follow the item and user tables, then first appearance. Ids that occur only in
    interactions get a row without title or attributes.

    Args:
        name: what commands call it.
        interactions: user_id, item_id, and optionally rating and timestamp (seconds).
        items: item_id, and optionally title, genres, year and more.
        users: user_id and attributes.
        title: what pages call it.
        source: where it comes from, with its licence.
        order: what orders a user's items, see `Dataset.order`.
        extras: other tables by name, see `Dataset.extras`.
        titles_are_clean: skip the repair of titles.

    Raises:
        DataError: when there is no interaction.
    """
    if not len(interactions):
        raise DataError(
            t(
                "data set {name!r} has no interactions; expected at least one row with a user "
                "and an item",
                name=name,
            )
        )
    user_codes, user_ids = pd.factorize(interactions[Columns.USER_ID], sort=False)
    item_codes, item_ids = pd.factorize(interactions[Columns.ITEM_ID], sort=False)
    rating = (
        interactions[Columns.RATING].to_numpy(np.float32) if Columns.RATING in interactions else 1.0
    )
    time = (
        interactions[Columns.TIME].to_numpy(np.float64) if Columns.TIME in interactions else np.nan
    )
    table = pd.DataFrame({Columns.USER: user_codes, Columns.ITEM: item_codes})
    table[Columns.RATING] = np.asarray(np.broadcast_to(rating, len(table)), dtype=np.float32)
    table[Columns.TIME] = np.asarray(np.broadcast_to(time, len(table)), dtype=np.float64)
    return assemble(
        name, table, user_ids, item_ids, items, users,
        title=title, source=source, order=order, extras=extras, titles_are_clean=titles_are_clean,
    )  # fmt: skip


def assemble(
    name: str,
    table: pd.DataFrame,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    items: pd.DataFrame | None,
    users: pd.DataFrame | None,
    *,
    title: str,
    source: str,
    order: str,
    extras: dict[str, pd.DataFrame] | None = None,
    titles_are_clean: bool = False,
) -> Dataset:
    """A data set from interactions coded by `user_ids` and `item_ids`; the tables renumber them."""
    to_user, users = _codes(user_ids, users, Columns.USER_ID)
    to_item, items = _codes(item_ids, items, Columns.ITEM_ID)
    table = pd.DataFrame(
        {
            Columns.USER: to_user[table[Columns.USER].to_numpy()],
            Columns.ITEM: to_item[table[Columns.ITEM].to_numpy()],
            Columns.RATING: table[Columns.RATING].to_numpy(np.float32),
            Columns.TIME: table[Columns.TIME].to_numpy(np.float64),
        }
    )
    items = _complete_items(items, titles_are_clean)
    extras = extras or {}
    return Dataset(
        name,
        table,
        items,
        users,
        content_hash(table, items, users, extras),
        title or name,
        source,
        order,
        extras,
    )


def _codes(
    ids: Sequence[str], table: pd.DataFrame | None, column: str
) -> tuple[np.ndarray, pd.DataFrame]:
    """int32 code of each id, and the table extended to all of them with the code as index."""
    wanted = pd.Index(ids)
    if table is None:
        return np.arange(len(wanted), dtype=np.int32), pd.DataFrame({column: wanted})
    table = table.drop_duplicates(column).reset_index(drop=True)
    missing = wanted[~wanted.isin(table[column])]
    full = (
        pd.concat([table, pd.DataFrame({column: missing})], ignore_index=True)
        if len(missing)
        else table
    )
    return pd.Index(full[column]).get_indexer(wanted).astype(np.int32), full


def _complete_items(items: pd.DataFrame, titles_are_clean: bool) -> pd.DataFrame:
    items = items.copy()
    for column in (Columns.TITLE, Columns.GENRES):
        values = (
            items[column].fillna("").astype(str)
            if column in items
            else pd.Series("", index=items.index)
        )
        items[column] = values.astype(object)
    if not titles_are_clean:
        items[Columns.TITLE] = pd.Series(
            [clean_title(t) for t in items[Columns.TITLE]], items.index, dtype=object
        )
    year = items[Columns.YEAR] if Columns.YEAR in items else pd.Series(pd.NA, index=items.index)
    items[Columns.YEAR] = pd.to_numeric(year, errors="coerce").astype("Int32")
    first = [Columns.ITEM_ID, Columns.TITLE, Columns.GENRES, Columns.YEAR]
    return items[first + [column for column in items.columns if column not in first]]


def content_hash(
    table: pd.DataFrame, items: pd.DataFrame, users: pd.DataFrame, extras: dict[str, pd.DataFrame]
) -> str:
    """16 hex digits that change with every value and the order of rows, not with names, paths.

    Args:
        table: interactions by codes, in their order.
        items: the catalogue, by code.
        users: the people, by code.
        extras: further tables by name.
    """
    digest = hashlib.sha256()
    for column in (Columns.USER, Columns.ITEM, Columns.RATING, Columns.TIME):
        digest.update(np.ascontiguousarray(table[column].to_numpy()).tobytes())
    for frame in (items, users, *(extras[key] for key in sorted(extras))):
        for column in frame.columns:
            digest.update(f"\x1e{column}\x1f".encode())
            digest.update(
                "\x1f".join(
                    "" if v is None or v is pd.NA else str(v) for v in frame[column]
                ).encode()
            )
    return digest.hexdigest()[:16]
