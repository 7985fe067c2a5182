"""What is known about items and users beside who met whom: titles, genres, years, tags, ages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from llmrec_core.data.importing.chunks import chunks
from llmrec_core.data.importing.content_roles import ML_100K_COLUMNS, ML_100K_GENRES
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.text import clean_title, year_of
from llmrec_core.types import Columns

MAX_EXTRA_COLUMNS = 20
MAX_MEAN_LENGTH = 200  # longer columns (descriptions, pictures) are left out
NO_GENRES = ("(no genres listed)", "unknown")


_ROLES = {
    "item": Columns.ITEM_ID,
    "title": Columns.TITLE,
    "genres": Columns.GENRES,
    "year": Columns.YEAR,
}
Tallies = Mapping[str, RowTally]
"""File label → its count of rows left out."""


def item_table(
    tables: Sequence[Table], titles: Mapping[str, str], genres: Mapping[str, str], tallies: Tallies
) -> pd.DataFrame | None:
    """All tables of items joined by id.

    Args:
        tables: described tables of items.
        titles: item → title from elsewhere, used where the tables have none.
        genres: likewise for categories.
        tallies: count the rows that are left out.

    Returns:
        item_id, title, genres, year and short attributes; None when nothing is known.
    """
    joined: pd.DataFrame | None = None
    # The table with titles comes first: its order gives the codes.
    for table in sorted(tables, key=lambda table: "title" not in table.roles):
        frame = _renamed(_whole(table, tallies), table)
        frame = frame[frame[Columns.ITEM_ID] != ""].drop_duplicates(Columns.ITEM_ID)
        joined = frame if joined is None else _joined(joined, frame)
    if joined is None:
        return _from_titles(titles, genres)
    joined = joined.fillna("").reset_index(drop=True)
    for column, by_item in ((Columns.TITLE, titles), (Columns.GENRES, genres)):
        if column not in joined:
            joined[column] = [by_item.get(item, "") for item in joined[Columns.ITEM_ID]]
    joined[Columns.GENRES] = joined[Columns.GENRES].map(_genres)
    joined[Columns.YEAR] = pd.array(_years(joined), dtype="Int32")
    return joined


def user_table(tables: Sequence[Table], tallies: Tallies) -> pd.DataFrame | None:
    """All tables of users, one below the other.

    Args:
        tables: described tables of users.
        tallies: count the rows that are left out.

    Returns:
        user_id and short attributes; None when nothing is known.
    """
    if not tables:
        return None
    frames = [_renamed(_whole(table, tallies), table) for table in tables]
    users = pd.concat(frames, ignore_index=True).fillna("")
    return users[users[Columns.USER_ID] != ""].drop_duplicates(Columns.USER_ID)


def tag_table(tables: Sequence[Table], names: Sequence[Table], tallies: Tallies) -> pd.DataFrame:
    """Free tags, spelled out where a table of tag names is given.

    Args:
        tables: described tables of user, item and tag.
        names: described tables of tag names: number, then text.
        tallies: count the rows that are left out.

    Returns:
        user_id, item_id, tag.
    """
    words: dict[str, str] = {}
    for table in names:
        if len(table.columns) >= 2:
            for frame in chunks(table, tallies.get(table.source.label)):
                words.update(zip(frame[table.columns[0]], frame[table.columns[1]], strict=True))
    parts = []
    for table in tables:
        for frame in chunks(table, tallies.get(table.source.label)):
            tag = frame[table.roles["tag"]]
            tag = tag.map(words).fillna(tag) if words else tag
            parts.append(
                pd.DataFrame(
                    {
                        Columns.USER_ID: frame[table.roles["user"]],
                        Columns.ITEM_ID: frame[table.roles["item"]],
                        "tag": tag.map(clean_title),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _whole(table: Table, tallies: Tallies) -> pd.DataFrame:
    frames = list(chunks(table, tallies.get(table.source.label)))
    empty = pd.DataFrame(columns=table.columns, dtype=str)
    return pd.concat(frames, ignore_index=True) if frames else empty


def _joined(joined: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The first table with the columns that only the second has, and then its further rows."""
    new = [column for column in frame.columns if column not in joined.columns]
    more = frame[~frame[Columns.ITEM_ID].isin(joined[Columns.ITEM_ID])]
    wider = joined.merge(frame[[Columns.ITEM_ID, *new]], on=Columns.ITEM_ID, how="left", sort=False)
    return pd.concat([wider, more], ignore_index=True)


def _from_titles(titles: Mapping[str, str], genres: Mapping[str, str]) -> pd.DataFrame | None:
    if not titles and not genres:
        return None
    items = list(dict.fromkeys([*titles, *genres]))
    return pd.DataFrame(
        {
            Columns.ITEM_ID: items,
            Columns.TITLE: [titles.get(item, "") for item in items],
            Columns.GENRES: [_genres(genres.get(item, "")) for item in items],
        }
    )


def _years(items: pd.DataFrame) -> list[int | None]:
    """The year of each item: as given, else as its title says."""
    in_title = [year_of(clean_title(title)) for title in items[Columns.TITLE]]
    if Columns.YEAR not in items:
        return in_title
    digits = items[Columns.YEAR].str.extract(r"(\d{4})")[0]
    return [
        int(text) if isinstance(text, str) else year
        for text, year in zip(digits, in_title, strict=True)
    ]


def _renamed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Roles under our names, other columns under theirs in lower case, without surplus ones."""
    roles = {"user": Columns.USER_ID} if table.kind == "users" else _ROLES
    if table.kind == "items" and not table.header and len(table.columns) == ML_100K_COLUMNS:
        frame = frame.assign(**{Columns.GENRES: _flags(frame.iloc[:, 5:])})
        frame = frame.drop(columns=list(table.columns[2:]))
    names = {table.roles[role]: name for role, name in roles.items() if role in table.roles}
    for column in names:
        frame[column] = frame[column].str.strip()
    if table.format == "atomic" and "genres" in table.roles:
        # RecBole separates the words of a sequence by a space.
        genres = table.roles["genres"]
        frame = frame.assign(**{genres: frame[genres].str.replace(" ", "|")})
    ours = set(roles.values())
    kept = [
        column
        for column in frame.columns
        if column not in names and column not in ours and _worth_keeping(frame[column])
    ][:MAX_EXTRA_COLUMNS]
    plain = {column: re.sub(r"\W+", "_", column.lower()).strip("_") or "column" for column in kept}
    wanted = [c for c in frame.columns if c in names or c in ours or c in kept]
    renamed = frame[wanted].rename(columns={**plain, **names})
    return renamed.loc[:, ~renamed.columns.duplicated()]


def _worth_keeping(values: pd.Series) -> bool:
    """Whether a column is short text that is no web address."""
    return bool(
        len(values)
        and values.str.len().mean() <= MAX_MEAN_LENGTH
        and values.str.startswith("http").mean() < 0.5
    )


def _flags(flags: pd.DataFrame) -> list[str]:
    return [
        "|".join(name for name, on in zip(ML_100K_GENRES, row, strict=True) if name and on == "1")
        for row in flags.to_numpy()
    ]


def _genres(text: str) -> str:
    """Categories as `A|B`, whatever the list is written like.

    >>> _genres("['A', 'B']"), _genres("A, B"), _genres("A|B"), _genres("(no genres listed)")
    ('A|B', 'A|B', 'A|B', '')
    """
    if text in NO_GENRES:
        return ""
    parts = text.split("|") if "|" in text else re.split(r",\s*", text.strip("[]"))
    return "|".join(filter(None, (part.strip().strip("'\"") for part in parts)))
