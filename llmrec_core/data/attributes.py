"""What is known about items and users beside who met whom: titles, genres, years, tags, ages."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from llmrec_core.data.detect import ML_100K_GENRES
from llmrec_core.data.reading import chunks
from llmrec_core.data.tables import Table
from llmrec_core.data.text import clean_title, year_of
from llmrec_core.types import Columns

MAX_EXTRA_COLUMNS = 20
MAX_MEAN_LENGTH = 200  # longer columns (descriptions, pictures) are left out
NO_GENRES = ("(no genres listed)", "unknown")


def item_table(tables: Sequence[Table], titles: dict[str, str], skip_bad_rows: bool) -> pd.DataFrame | None:
    """item_id, title, genres, year and short attributes of all item tables joined by id; None when nothing is known."""
    joined: pd.DataFrame | None = None
    # The table with titles first: its order gives the codes.
    for table in sorted(tables, key=lambda table: "title" not in table.roles):
        frames = list(chunks(table, skip_bad_rows=skip_bad_rows))
        frame = _renamed(pd.concat(frames, ignore_index=True), table)
        frame = frame[frame[Columns.ITEM_ID] != ""].drop_duplicates(Columns.ITEM_ID)
        if joined is None:
            joined = frame
        else:
            new = [column for column in frame.columns if column not in joined.columns]
            more = frame[~frame[Columns.ITEM_ID].isin(joined[Columns.ITEM_ID])]
            joined = joined.merge(frame[[Columns.ITEM_ID, *new]], on=Columns.ITEM_ID, how="left", sort=False)
            joined = pd.concat([joined, more], ignore_index=True)
    if joined is None:
        return pd.DataFrame({Columns.ITEM_ID: list(titles), Columns.TITLE: list(titles.values())}) if titles else None
    joined = joined.fillna("").reset_index(drop=True)
    if Columns.TITLE not in joined:
        joined[Columns.TITLE] = joined[Columns.ITEM_ID].map(titles).fillna("")
    if Columns.GENRES in joined:
        joined[Columns.GENRES] = joined[Columns.GENRES].map(_genres)
    years = [year_of(clean_title(title)) for title in joined[Columns.TITLE]]
    if Columns.YEAR in joined:
        told = pd.to_numeric(joined[Columns.YEAR].str.extract(r"(\d{4})")[0], errors="coerce")
        years = [int(given) if given == given else found for given, found in zip(told, years, strict=True)]
    joined[Columns.YEAR] = pd.array(years, dtype="Int32")
    return joined


def user_table(tables: Sequence[Table], skip_bad_rows: bool) -> pd.DataFrame | None:
    """user_id and short attributes; None when nothing is known."""
    if not tables:
        return None
    frames = [_renamed(frame, table) for table in tables for frame in chunks(table, skip_bad_rows=skip_bad_rows)]
    return pd.concat(frames, ignore_index=True).fillna("").drop_duplicates(Columns.USER_ID)


def tag_table(tables: Sequence[Table], names: Sequence[Table], skip_bad_rows: bool) -> pd.DataFrame:
    """user_id, item_id, tag: free tags, spelled out where a table of tag names is given."""
    words: dict[str, str] = {}
    for table in names:
        if len(table.columns) >= 2:
            for frame in chunks(table, skip_bad_rows=skip_bad_rows):
                words.update(zip(frame[table.columns[0]], frame[table.columns[1]], strict=True))
    parts = []
    for table in tables:
        for frame in chunks(table, skip_bad_rows=skip_bad_rows):
            tag = frame[table.roles["tag"]]
            tag = tag.map(words).fillna(tag) if words else tag
            parts.append(
                pd.DataFrame(
                    {
                        "user_id": frame[table.roles["user"]],
                        "item_id": frame[table.roles["item"]],
                        "tag": tag.map(clean_title),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _renamed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Known roles under our names, other columns under theirs in lower case, long and surplus ones dropped."""
    roles = {"item": Columns.ITEM_ID, "title": Columns.TITLE, "genres": Columns.GENRES, "year": Columns.YEAR}
    if table.kind == "users":
        roles = {"user": Columns.USER_ID}
    if table.kind == "items" and len(table.columns) == 24 and not table.header:
        frame = frame.assign(**{Columns.GENRES: _flags(frame.iloc[:, 5:])}).drop(columns=list(frame.columns[2:]))
    names = {table.roles[role]: name for role, name in roles.items() if role in table.roles}
    if table.format == "atomic" and "genres" in table.roles:
        # RecBole separates the words of a sequence by a space.
        frame = frame.assign(**{table.roles["genres"]: frame[table.roles["genres"]].str.replace(" ", "|")})
    others = [c for c in frame.columns if c not in names and c not in roles.values() and _worth_keeping(frame[c])][
        :MAX_EXTRA_COLUMNS
    ]
    plain = {column: re.sub(r"\W+", "_", column.lower()).strip("_") or "column" for column in others}
    kept = [c for c in frame.columns if c in names or c in roles.values() or c in others]
    renamed = frame[kept].rename(columns={**plain, **names})
    return renamed.loc[:, ~renamed.columns.duplicated()]


def _worth_keeping(values: pd.Series) -> bool:
    """Short text that is no web address."""
    return values.str.len().mean() <= MAX_MEAN_LENGTH and values.str.startswith("http").mean() < 0.5


def _flags(flags: pd.DataFrame) -> list[str]:
    return [
        "|".join(name for name, on in zip(ML_100K_GENRES, row, strict=True) if name and on == "1")
        for row in flags.to_numpy()
    ]


def _genres(text: str) -> str:
    """`A|B` from `A|B`, `A, B`, or `['A', 'B']`."""
    if text in NO_GENRES:
        return ""
    parts = re.split(r"\|", text) if "|" in text else re.split(r",\s*", text.strip("[]"))
    return "|".join(filter(None, (part.strip().strip("'\"") for part in parts)))
